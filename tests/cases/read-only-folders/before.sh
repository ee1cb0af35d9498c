set -e
mkdir -p old/e
echo 1 > old/e/f
chmod 555 old/e old
