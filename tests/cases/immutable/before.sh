set -e
echo 1 > f
echo 1 > other
chattr +i f
