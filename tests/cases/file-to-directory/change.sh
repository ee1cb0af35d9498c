set -e
rm f l
mkdir f l
echo 2 > f/a
echo 3 > l/b
