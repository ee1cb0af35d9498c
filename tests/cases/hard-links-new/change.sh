set -e
echo 1 > a
ln a b
ln a d/c
mkdir n
ln a n/e
