set -e
python3 - <<'END'
import os
os.close(os.open('a', os.O_RDWR))
os.close(os.open('b', os.O_WRONLY | os.O_APPEND))
END
