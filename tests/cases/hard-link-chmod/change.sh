set -e
chmod 4711 a
