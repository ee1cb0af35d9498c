set -e
mv f f~
echo 2 > f
