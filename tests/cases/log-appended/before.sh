set -e
mkdir log
echo 1 > log/app.log
