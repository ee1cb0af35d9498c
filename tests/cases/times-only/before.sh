set -e
echo 1 > f
ln -s f l
mkdir d
echo 1 > d/e
