set -e
ln a d/b
