set -e
python3 - <<'END'
import os
for _ in range(20):
    os.mkdir('d' * 250)
    os.chdir('d' * 250)
open('old', 'w').write('1')
open('gone', 'w').write('1')
END
