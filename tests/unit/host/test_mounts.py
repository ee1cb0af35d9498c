"""Reading mountinfo, and deciding how each mount is shown."""

from __future__ import annotations

import pytest

from backout.errors import NotPossibleError
from backout.host.mounts import NODEV, NOSUID, RDONLY, holding, parse, visible
from backout.host.view import BIND, COPY, OVERLAY, SEAL, SHOW, plan_view

HOST = rb"""
20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
21 20 0:5 / /proc rw - proc proc rw
22 20 0:6 / /sys rw - sysfs sysfs rw
23 22 0:7 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
24 20 0:8 / /run rw,nosuid - tmpfs tmpfs rw
25 24 0:9 / /run/lock rw - tmpfs tmpfs rw
26 20 8:1 /srv/a\040b /bound ro - ext4 /dev/sda1 rw
27 20 7:0 / /snap/core ro - squashfs /dev/loop0 ro
28 20 8:2 / /boot/efi rw - vfat /dev/sda2 rw
29 20 0:30 / /home rw master:3 - nfs4 server:/home rw
30 20 8:3 /hosts /etc/hosts rw - ext4 /dev/sdb1 rw
31 20 8:4 / /data ro - xfs /dev/sdc1 rw
32 20 0:40 / /net rw - autofs auto rw
33 20 0:41 / /over rw - tmpfs hidden rw
34 33 0:42 / /over/below rw - tmpfs below rw
35 20 0:43 / /over rw - tmpfs seen rw
""".strip()


def kind_of(point: bytes) -> str:
    """Only /etc/hosts is a file; what may hang must not be asked about at all."""
    assert point not in (b"/home", b"/net")
    return "file" if point == b"/etc/hosts" else "dir"


def test_a_mount_that_another_covers_is_not_seen() -> None:
    """Its layer would record what no path leads to, and its children would land in the wrong tree."""
    points = [(mount.id, mount.point) for mount in visible(parse(HOST)) if mount.point.startswith(b"/over")]
    assert points == [(35, b"/over")]


def test_names_are_unescaped_and_flags_are_read() -> None:
    """A space in a path is an octal number in mountinfo."""
    bound = next(mount for mount in parse(HOST) if mount.point == b"/bound")
    assert bound.root == b"/srv/a b"
    assert bound.read_only
    assert bound.flags == RDONLY


def test_the_mount_of_a_path_is_the_innermost() -> None:
    """The stage must lie on the same mount as what is promoted from it."""
    mounts = visible(parse(HOST))
    found = {path: holding(mounts, path) for path in (b"/run/lock/x", b"/run/locker", b"/etc", b"/etc/hosts")}
    assert {path: mount.id for path, mount in found.items() if mount} == {
        b"/run/lock/x": 25,
        b"/run/locker": 24,
        b"/etc": 20,
        b"/etc/hosts": 30,
    }


def test_each_mount_is_shown_in_its_way() -> None:
    """One overlay a mount, binds from the overlay of their file system, the rest read-only (A4)."""
    view = plan_view(parse(HOST), kind_of)
    assert {piece.point: piece.how for piece in view.pieces} == {
        b"/": OVERLAY,
        b"/run": OVERLAY,
        b"/run/lock": OVERLAY,
        b"/over": OVERLAY,
        b"/bound": BIND,
        b"/snap/core": SHOW,
        b"/boot/efi": SHOW,
        b"/home": SHOW,
        b"/etc/hosts": COPY,
        b"/data": SEAL,
        b"/sys/fs/cgroup": SHOW,
    }
    bound = next(piece for piece in view.pieces if piece.point == b"/bound")
    assert bound.source == (b"/", b"srv/a b")
    assert bound.flags & RDONLY


def test_what_is_not_covered_is_named() -> None:
    """A rehearsal that silently leaves out /home is a lie; a read-only mount loses nothing."""
    limits = plan_view(parse(HOST), kind_of).limits
    assert [limit.split()[0] for limit in limits] == ["/boot/efi", "/home", "/net"]


def test_flags_are_kept_and_devices_work_nowhere() -> None:
    """A noexec /tmp is noexec in the view; a device node that a command makes must not open a disk."""
    pieces = {piece.point: piece for piece in plan_view(parse(HOST), kind_of).pieces}
    assert pieces[b"/run"].flags == NOSUID | NODEV
    assert all(piece.flags & NODEV for piece in pieces.values())


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"20 1 0:50 / / rw - overlay overlay rw", "overlay"),
        (b"20 1 8:1 / / ro - ext4 /dev/sda1 rw", "read-only"),
        (b"20 1 8:1 / /elsewhere rw - ext4 /dev/sda1 rw", "chroot"),
    ],
)
def test_a_root_that_cannot_be_overlaid_is_refused(line: bytes, what: str) -> None:
    """In a container the root directory is an overlay itself, which cannot hold an upper layer."""
    with pytest.raises(NotPossibleError, match=what):
        plan_view(parse(line), kind_of)
