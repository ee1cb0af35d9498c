#!/bin/sh
# A view of the host over the stand-ins' layer, as the sandbox makes it: view.sh FOLDER COMMAND... in fresh mount, process
# and network namespaces. FOLDER lies on a tmpfs and holds shims/, and afterwards upper/.
set -e
folder=$1
shift
mkdir -p "$folder/upper" "$folder/work" "$folder/root" "$folder/run" "$folder/run-work"
mount --make-rprivate /
chmod --reference=/ "$folder/upper"
touch --reference=/ "$folder/upper"
mount -t overlay overlay -o "lowerdir=$folder/shims/layer:/,upperdir=$folder/upper,workdir=$folder/work,index=off,metacopy=off" "$folder/root"
mount -t proc proc "$folder/root/proc"
mount -t overlay overlay -o "lowerdir=/run,upperdir=$folder/run,workdir=$folder/run-work" "$folder/root/run"
mount --rbind /dev "$folder/root/dev"
mount -t tmpfs tmpfs "$folder/root/tmp"
mkdir -p /dev/.backout/real
: >/dev/.backout/requests
mount --bind "$folder/shims/requests" /dev/.backout/requests
while read -r name path; do
	: >"/dev/.backout/real/$name"
	mount --bind "$path" "/dev/.backout/real/$name"
done <"$folder/real"
mount --rbind /dev "$folder/root/dev"
[ ! -d "$folder/debs" ] || { mkdir "$folder/root/tmp/debs"; mount --bind "$folder/debs" "$folder/root/tmp/debs"; }
exec chroot "$folder/root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"
