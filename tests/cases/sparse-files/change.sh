set -e
truncate -s 64M new
echo end >> new
printf x | dd of=old bs=1 seek=1000000 conv=notrunc status=none
printf x | dd of=two bs=1 seek=5000000 conv=notrunc status=none
rm gone
