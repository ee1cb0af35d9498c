set -e
printf x | dd of=disk conv=notrunc status=none
