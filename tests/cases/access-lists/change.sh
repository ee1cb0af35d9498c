set -e
setfacl -m g:12:r f
setfacl -d -m u:7:rwx d
echo 2 > d/n
echo 3 > e/n
mkdir e/m
setfacl -b e/old
