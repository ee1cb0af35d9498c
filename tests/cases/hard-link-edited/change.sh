set -e
echo 2 >> a
