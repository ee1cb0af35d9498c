#!/bin/sh
# A host of its own over this machine's files, for tests: host.sh FOLDER SOURCE INIT... in fresh namespaces; INIT becomes
# PID 1. SOURCE is to be seen there at /mnt/source.
# Nothing of it outlives PID 1 and the mount namespace.
set -e
folder=$1
source=$2
shift 2
mount --make-rprivate /
mount -t tmpfs tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
cd "$folder/root"
mkdir mnt/source
mount --bind "$source" mnt/source
mount -t proc proc proc
mount --bind proc/sys proc/sys && mount -o remount,ro,bind proc/sys
mount -t sysfs -o ro sysfs sys
for own in run dev tmp; do mount -t tmpfs -o mode=755 tmpfs $own; done
chmod 1777 tmp
mkdir run/lock dev/pts dev/shm mnt/old
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for node in null zero full random urandom tty; do
	: >dev/$node
	mount --bind /dev/$node dev/$node
done
# This machine's own units and start-up links are no part of the test.
rm -rf etc/systemd/system usr/lib/systemd/system/*.wants usr/lib/systemd/system-generators etc/rc?.d/S* usr/sbin/policy-rc.d
mkdir -p etc/systemd/system etc/systemd/system.conf.d
printf '[Manager]\nDefaultStandardOutput=null\nDefaultStandardError=null\n' >etc/systemd/system.conf.d/test.conf
printf '[Unit]\nDescription=All that a test needs\nDefaultDependencies=no\nAllowIsolate=yes\n' >etc/systemd/system/test.target
case $1 in
*/systemd) mount -t cgroup2 cgroup2 sys/fs/cgroup ;;
esac
pivot_root . mnt/old
umount -l mnt/old
ip link set lo up
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" <dev/null >dev/null 2>&1
