set -e
chmod 600 f
