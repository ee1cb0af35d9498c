set -e
mv d n
