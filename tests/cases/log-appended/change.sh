set -e
echo 2 >> log/app.log
echo 1 > f
