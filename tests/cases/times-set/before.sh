set -e
echo 1 > f
mkdir d
ln -s f l
echo 1 > h
ln h i
