set -e
truncate -s 100 a
truncate -s 9000 b
