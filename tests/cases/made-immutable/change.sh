set -e
echo 2 > n
chattr +i n
