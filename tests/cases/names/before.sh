set -e
python3 - <<'END'
import os
names = [b'new\nline', b'quo"te\'s', b'\xff\xfe', b'back\\slash', b' ', b'-rf', b'tab\t', b'\x1b[31m', b'n' * 255, b'\xe2\x82\xac' * 85, b'*?[a]']
for name in names[::2]:
    open(name, 'wb').write(b'1')
END
