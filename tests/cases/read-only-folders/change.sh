set -e
mkdir -p n/m/o
echo 1 > n/m/o/f
chmod 444 n/m/o/f
chmod 555 n/m/o n/m n
echo 2 > old/e/f
echo 3 > old/e/new
mkdir -m 0 none
