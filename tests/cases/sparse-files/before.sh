set -e
truncate -s 64M old
echo end >> old
truncate -s 8M two
ln two three
truncate -s 8M gone
