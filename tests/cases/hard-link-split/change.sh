set -e
echo 2 > n
mv n a
