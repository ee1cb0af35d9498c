set -e
echo content > f
