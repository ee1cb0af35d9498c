set -e
rm l f
echo 3 > l
ln -s target f
