set -e
echo 1 > a
mkdir d
