set -e
rm -r d
mkdir n
mkfifo n/p
mknod n/c c 1 3
ln -s x n/l
: > n/e
chmod 1733 n
