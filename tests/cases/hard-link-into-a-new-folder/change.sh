set -e
mkdir -p n/m
ln a n/m/x
ln n/m/x n/y
