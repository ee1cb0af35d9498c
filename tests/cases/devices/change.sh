set -e
mknod new c 1 5
mknod block b 7 1
chmod 600 old
rm gone file
mknod file c 1 7
