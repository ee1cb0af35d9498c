set -e
mkdir r1 r2
echo 1 > r1/v
echo 2 > r2/v
ln -s r1 current
ln -s /nowhere dangling
