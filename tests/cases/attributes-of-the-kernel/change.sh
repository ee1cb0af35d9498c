set -e
setfattr -n user.x -v 1 f
setfattr -n trusted.x -v 1 f
