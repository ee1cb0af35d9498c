set -e
mkdir n
for n in $(seq 1000); do echo $n > n/$n; done
for n in $(seq 500); do echo $n more > d/$n; done
rm -r gone
