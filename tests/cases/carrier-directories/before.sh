set -e
mkdir -p a/b/c
echo 1 > a/b/c/f
echo 1 > a/g
