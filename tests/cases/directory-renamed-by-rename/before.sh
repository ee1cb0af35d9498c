set -e
mkdir -p d/e/f outside
echo 1 > d/a
echo 2 > d/e/b
ln d/e/b outside/b
ln d/a d/e/again
ln -s a d/link
mkfifo d/pipe
setfattr -n user.note -v kept d/e
chmod 2750 d/e
chown 1:2 d/e
echo 3 > d/e/f/c
mkdir swapped
echo 4 > swapped/x
