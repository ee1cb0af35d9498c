set -e
mkdir -p d/e
echo 1 > d/a
echo 2 > d/e/b
ln -s a d/link
chmod 750 d/e
