set -e
echo 2 > f
