set -e
echo 2 > other
echo 2 > f
