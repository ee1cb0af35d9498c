set -e
cp /bin/true n
chown 34 n
setcap cap_net_raw=ep n
