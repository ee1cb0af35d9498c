set -e
echo 1 > f
