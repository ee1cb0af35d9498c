set -e
mv a n
mv d/b e/b
mv n c
mv l d/l
