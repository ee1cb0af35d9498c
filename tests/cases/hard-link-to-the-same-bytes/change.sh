set -e
echo same > b
ln b c
mv c a
