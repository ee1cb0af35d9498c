set -e
mv a d/c
