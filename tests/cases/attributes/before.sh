set -e
mkdir d
echo 1 > f
setfattr -n user.gone -v 1 f
setfattr -n trusted.t -v 1 f
echo 1 > linked
ln linked other
setfattr -n user.gone -v 1 linked
echo 1 > kept
setfattr -n trusted.t -v 1 kept
setfattr -n security.x -v 1 kept
setfattr -n trusted.t -v 1 d
