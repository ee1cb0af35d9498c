set -e
ln -s r2 next
mv -T next current
ln -sfn /elsewhere dangling
chown -h 34 dangling
