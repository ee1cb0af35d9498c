set -e
cp /bin/true a
chmod 4755 a
cp /bin/true b
chmod 6755 b
ln b c
