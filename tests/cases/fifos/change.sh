set -e
mkfifo -m 620 new
chown 1:2 new
chmod 600 old
rm gone
