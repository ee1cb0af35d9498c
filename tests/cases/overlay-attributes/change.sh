set -e
echo 2 > f
echo 2 > d/n
