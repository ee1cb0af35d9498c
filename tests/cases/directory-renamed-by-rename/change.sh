set -e
python3 - <<'END'
import os
os.rename('d', 'n')
END
