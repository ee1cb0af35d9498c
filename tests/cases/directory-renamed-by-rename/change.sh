set -e
python3 - <<'END'
import ctypes
import os

os.rename("d", "n")
os.mkdir("deeper")
os.rename("n/e", "deeper/e")
os.rename("deeper/e/f", "n/g")
with open("n/g/c", "a") as file:
    file.write("more\n")
libc = ctypes.CDLL(None)
assert libc.renameat2(-100, b"swapped", -100, b"n/g", 2) == 0  # RENAME_EXCHANGE
END
