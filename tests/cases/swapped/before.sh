set -e
echo 1 > a
echo 2 > b
mkdir d
chmod 600 b
echo 3 > d/c
