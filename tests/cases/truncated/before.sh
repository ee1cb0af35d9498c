set -e
seq 10000 > a
seq 10 > b
