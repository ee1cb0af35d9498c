set -e
python3 - <<'END'
import os
file = os.open('d', os.O_TMPFILE | os.O_RDWR, 0o640)
os.write(file, b'1')
os.link(f'/proc/self/fd/{file}', 'd/n', src_dir_fd=file, follow_symlinks=True)
END
