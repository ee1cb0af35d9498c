set -e
mkdir -p d/e g
echo 1 > d/e/f
echo 1 > g/h
