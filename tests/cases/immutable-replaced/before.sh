set -e
echo 1 > f
chattr +i f
