set -e
mkdir -p v/bin v/lib
echo 1 > v/bin/python
chmod 755 v/bin/python
ln -s bin/python v/p
echo 1 > v/lib/m
