set -e
: > new
: > emptied
echo 1 > was
: > d/new
mkdir e
