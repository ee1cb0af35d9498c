set -e
ln -s x l
ln l l2
mkfifo p
ln p p2
mknod c c 1 3
ln c c2
