set -e
python3 - <<'END'
import mmap
with open('f', 'r+b') as file, mmap.mmap(file.fileno(), 0) as memory:
    memory[5000:5003] = b'new'
END
