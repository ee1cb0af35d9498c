set -e
echo 1 > target
ln -s target l
echo 2 > f
