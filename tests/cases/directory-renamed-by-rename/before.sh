set -e
mkdir d
echo 1 > d/a
