set -e
mknod old c 1 3
mknod gone b 7 0
echo 1 > file
