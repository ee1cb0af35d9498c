set -e
mkdir d
mkfifo d/p
mknod d/c c 1 3
ln -s x d/l
: > d/e
python3 - <<'END'
import socket
socket.socket(socket.AF_UNIX).bind('d/s')
END
