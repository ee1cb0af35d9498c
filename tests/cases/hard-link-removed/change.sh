set -e
rm a
