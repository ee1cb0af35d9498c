set -e
python3 - <<'END'
import os
os.mkdir('gone')
os.chdir('gone')
for _ in range(20):
    os.mkdir('d' * 250)
    os.chdir('d' * 250)
open('f', 'w').write('1')
END
