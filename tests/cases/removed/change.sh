set -e
rm f l
rm -r d
