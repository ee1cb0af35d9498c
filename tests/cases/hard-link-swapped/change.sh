set -e
python3 - <<'END'
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
assert libc.renameat2(-100, b'a', -100, b'b', 2) == 0, ctypes.get_errno()
END
