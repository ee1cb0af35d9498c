set -e
rm -r d
mkdir d
echo 3 > d/c
