echo 2 > f
echo new > new
for name in f d new; do
    for key in origin opaque redirect metacopy whiteout overlay.opaque; do
        setfattr -n trusted.overlay.$key -v y $name 2> refused
    done
    setfattr -n trusted.mine -v y $name 2> refused
done
rm refused
