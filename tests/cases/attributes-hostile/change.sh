set -e
large=0x$(head -c 3000 /dev/zero | od -An -v -tx1 | tr -d ' \n')
for name in f d twin new; do
    [ -e $name ] || echo new > $name
    setfattr -n "user.$(printf '\201\033[2J\n')" -v 0x00ff0a $name
    setfattr -n "user.$(head -c 250 /dev/zero | tr '\0' n)" -v '' $name
    for key in origin opaque redirect metacopy whiteout nlink impure protattr overlay.opaque; do
        setfattr -n user.overlay.$key -v y $name
    done
    setfattr -n user. -v x $name 2> refused || true
    setfattr -n system.posix_acl_access -v 0xdeadbeef $name 2> refused || true
    setfattr -n system.posix_acl_default -v 0x02000000ffff $name 2> refused || true
    setfattr -n security.capability -v 0xdeadbeef $name 2> refused || true
done
rm refused
setfattr -n user.large -v "$large" f
setfattr -x "user.$(printf '\377\n=')" twin
mkdir below && echo x > below/x
setfattr -n user.overlay.opaque -v y below
setfattr -n user.overlay.whiteout -v y below/x
