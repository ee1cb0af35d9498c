set -e
mkdir d
for n in $(seq 500); do echo $n > d/$n; done
mkdir gone
for n in $(seq 500); do echo $n > gone/$n; done
