set -e
echo 1 > a
echo 2 > b
ln -s a l
