set -e
echo same > a
