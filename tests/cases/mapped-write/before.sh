set -e
seq 10000 > f
