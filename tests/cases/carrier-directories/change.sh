set -e
echo 2 > a/b/c/f
