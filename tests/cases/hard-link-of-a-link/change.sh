set -e
chown -h 34 l
chmod 600 p
chown 34 c
