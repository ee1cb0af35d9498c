set -e
echo 1 > a
ln a b
