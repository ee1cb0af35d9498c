set -e
python3 - <<'END'
import os
for _ in range(20):
    os.chdir('d' * 250)
open('old', 'w').write('2')
os.unlink('gone')
open('new', 'w').write('3')
for _ in range(3):
    os.mkdir('n' * 250)
    os.chdir('n' * 250)
END
