"""What a look walks on: what is mounted where, and which of it are this machine's own disks."""

from __future__ import annotations

import os

from backout.host import mounts
from backout.host.mounts import Mount

DISKS = frozenset(
    b"ext2 ext3 ext4 xfs btrfs zfs f2fs jfs reiserfs bcachefs ubifs squashfs erofs overlay tmpfs ramfs rootfs".split()
)
"""File systems of this machine alone, whose ctime is set by this kernel with each change (not FAT, not FUSE)."""
PSEUDO = frozenset(
    b"proc sysfs cgroup cgroup2 devtmpfs devpts securityfs debugfs tracefs pstore bpf configfs fusectl mqueue hugetlbfs"
    b" binfmt_misc autofs efivarfs rpc_pipefs nsfs selinuxfs nfsd fuse.lxcfs fuse.portal".split()
)
"""What the kernel makes up, or what would be mounted by being looked at."""


class Ground:
    """What is mounted where, at the beginning of a look."""

    def __init__(self, found: list[Mount]) -> None:
        """Take the mounts as they are; of one thing that is mounted twice, the later one is a twin."""
        self._mounts = mounts.visible(found)
        self.points = {os.fsdecode(mount.point): mount for mount in self._mounts}

    def on(self, path: str) -> bytes:
        """Name the kind of file system that a path lies on."""
        held = mounts.holding(self._mounts, os.fsencode(path))
        return b"rootfs" if held is None else held.kind

    def twins(self) -> set[str]:
        """Name the mount points that show what is to be seen elsewhere, too: bind mounts."""
        seen: dict[bytes, list[bytes]] = {}
        found = set()
        for mount in sorted(self._mounts, key=lambda mount: (len(mount.root), mount.point)):
            roots = seen.setdefault(mount.device, [])
            if any(mounts.is_within(mount.root, root) for root in roots):
                found.add(os.fsdecode(mount.point))
            roots.append(mount.root)
        return found


def ground() -> Ground:
    """Read what is mounted now."""
    return Ground(mounts.read())
