set -e
python3 - <<'END'
import os
names = [b'new\nline', b'quo"te\'s', b'\xff\xfe', b'back\\slash', b' ', b'-rf', b'tab\t', b'\x1b[31m', b'n' * 255, b'\xe2\x82\xac' * 85, b'*?[a]']
for name in names[::4]:
    open(name, 'wb').write(b'2')
for name in names[1::2]:
    open(name, 'wb').write(b'3')
os.unlink(names[2])
os.mkdir(b'd\xff\n')
os.rename(names[6], b'd\xff\n/' + names[6])
os.symlink(b'\xff\n"', b'l\xff')
END
