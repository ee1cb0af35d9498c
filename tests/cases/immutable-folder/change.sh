set -e
echo 2 > d/n
