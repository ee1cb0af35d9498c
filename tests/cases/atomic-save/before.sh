set -e
echo 1 > f
chmod 640 f
chown 34:34 f
