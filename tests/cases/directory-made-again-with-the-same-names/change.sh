set -e
rm -r d
mkdir -m 700 d
echo 1 > d/a
echo 3 > d/b
