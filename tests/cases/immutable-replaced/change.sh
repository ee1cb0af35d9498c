set -e
echo 2 > n
mv -f n f
