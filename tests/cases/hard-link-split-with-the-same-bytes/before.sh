set -e
echo same > a
ln a b
