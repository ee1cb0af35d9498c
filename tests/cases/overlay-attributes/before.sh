set -e
mkdir d
echo 1 > f
setfattr -n trusted.overlay.opaque -v y d
setfattr -n user.overlay.origin -v z f
