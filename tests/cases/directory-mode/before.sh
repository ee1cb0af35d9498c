set -e
mkdir -p d/e
echo 1 > d/e/f
