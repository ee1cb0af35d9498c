set -e
mkdir d
