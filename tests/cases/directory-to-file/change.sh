set -e
rm -r d g
echo 2 > d
ln -s d g
