set -e
mkfifo old gone
