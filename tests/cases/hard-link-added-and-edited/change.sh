set -e
ln a b
echo 2 >> b
