set -e
setfattr -x user.gone f
setfattr -n user.new -v 0x00ff f
setfattr -n user.empty f
echo 2 > kept
setfattr -n user.x -v 1 d
setfattr -x user.gone linked
setfattr -n user.new -v 1 linked
