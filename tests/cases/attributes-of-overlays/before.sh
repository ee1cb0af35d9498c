set -e
mkdir d
echo 1 > d/below
echo 1 > f
