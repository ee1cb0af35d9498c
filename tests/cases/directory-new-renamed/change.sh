set -e
mkdir d
mv f d/
mv d n
