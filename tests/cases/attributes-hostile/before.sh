set -e
mkdir d
for name in f d twin; do
    [ -e $name ] || echo 1 > $name
    setfattr -n "user.$(printf '\377\n=')" -v 0x00ff $name
done
ln twin twin2
