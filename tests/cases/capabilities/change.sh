set -e
setcap cap_net_bind_service+ep a
chown 34 b
setcap cap_chown+ep c
