set -e
echo 1 > f
(exec 9>>f; exec sleep 1000) &
sleep 0.2
