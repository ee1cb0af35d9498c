set -e
echo same > new
mv new a
