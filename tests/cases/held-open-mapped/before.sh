set -e
seq 1000 > f
python3 - <<'END' &
import mmap, time
with open('f', 'r+b') as file:
    memory = mmap.mmap(file.fileno(), 0)
    import os
    os.close(os.dup(memory.fileno())) if hasattr(memory, 'fileno') else None
time.sleep(1000)
END
sleep 0.5
