set -e
mkdir d
echo 1 > d/a
echo 2 > d/b
