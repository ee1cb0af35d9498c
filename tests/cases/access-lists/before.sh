set -e
mkdir d e
echo 1 > f
setfacl -m u:34:rw f
setfacl -d -m u:34:rwx e
echo 1 > e/old
