set -e
chmod 1777 d
chown 34:34 d/e
setfattr -n user.x -v y d/e
echo 2 > d/e/n
