set -e
rm -r gone
python3 - <<'END'
import os
os.mkdir('new')
os.chdir('new')
for _ in range(20):
    os.mkdir('n' * 250)
    os.chdir('n' * 250)
open('f', 'w').write('1')
END
