set -e
mkdir d
echo 1 > a
ln a d/b
