set -e
cp /bin/true a
cp /bin/true b
setcap cap_net_raw+ep b
cp /bin/true c
setcap cap_net_raw+ep c
ln c d
