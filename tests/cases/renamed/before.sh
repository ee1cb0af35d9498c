set -e
mkdir d e
echo 1 > a
echo 2 > d/b
echo 3 > c
ln -s a l
