set -e
echo 1 > a
ln a other
echo 2 > b
