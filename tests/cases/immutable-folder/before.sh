set -e
mkdir d
chattr +i d
