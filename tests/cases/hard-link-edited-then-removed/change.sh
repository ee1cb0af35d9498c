set -e
echo 2 >> a
rm a
