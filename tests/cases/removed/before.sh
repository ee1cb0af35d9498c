set -e
echo 1 > f
ln -s f l
mkdir -p d/e
echo 2 > d/e/g
