set -e
cp -a v w
rm -r v
mkdir -p v/bin
echo 2 > v/bin/python
chmod 755 v/bin/python
