set -e
mv a c
echo 2 >> c
