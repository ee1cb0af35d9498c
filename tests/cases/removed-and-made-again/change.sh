set -e
rm f
echo 1 > f
