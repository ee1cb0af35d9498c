set -e
touch -d 2001-02-03 f
touch -h -d 2001-02-03 l
touch -d 2001-02-03 d
