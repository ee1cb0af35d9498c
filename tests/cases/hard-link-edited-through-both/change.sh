set -e
echo 2 >> a
echo 3 >> d/b
