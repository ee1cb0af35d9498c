set -e
sed -i "s/workers = 2/workers = 4/" app.ini
