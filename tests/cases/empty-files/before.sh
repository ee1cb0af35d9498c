set -e
: > was
echo 1 > emptied
mkdir d
