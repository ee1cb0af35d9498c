set -e
truncate -s 128K disk
ln disk twin
