set -e
python3 - <<'END'
import socket
socket.socket(socket.AF_UNIX).bind('s')
END
echo 2 > f
