"""Deciding how each mount of a host is shown in a view: mounts in, pieces out. `assemble` does it.

Overlays one a mount, binds of one file system from one overlay (traps A4); what cannot be covered is shown read-only
and named. Without root the kernel refuses to overlay a tree with mounts below (they are locked), so there it is one
overlay for each directory that has none, and more for what the user may write (see `rootless`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from backout.errors import NotPossibleError
from backout.host.mounts import NODEV, RDONLY, Mount, holding, inside, is_below, is_within, visible

OVERLAY, BIND, SEAL, SHOW = "overlay", "bind", "seal", "show"
COPY, DEAD, PROC, OUTSIDE = "copy", "dead", "proc", "outside"
"""How a mount is shown: by a layer of its own; as a part of another layer; read-only, its sockets dead; read-only as it
is; by a copy of a single file; by a stand-in for a socket or FIFO; by the view's own /proc; not at all."""

PSEUDO = frozenset(
    b"autofs bdev binder binfmt_misc bpf cgroup cgroup2 configfs cpuset debugfs devpts devtmpfs efivarfs fusectl "
    b"hugetlbfs mqueue nfsd nsfs pipefs proc pstore resctrl rpc_pipefs securityfs selinuxfs smackfs sockfs sysfs "
    b"tracefs".split()
)
"""File systems that are the kernel talking, not storage."""
IMAGES = frozenset(b"cramfs erofs iso9660 romfs squashfs udf".split())
"""Read-only by nature."""
NOT_LOWER = frozenset(b"exfat hfs hfsplus msdos ntfs ntfs3 overlay vfat".split())
"""What overlayfs refuses beneath, or may not be stacked once more for a check."""
REMOTE = frozenset(b"9p afs ceph cifs coda gfs2 glusterfs lustre ncpfs nfs nfs4 ocfs2 smb3 smbfs virtiofs".split())
"""Looking at these may wait for another machine for ever."""

_OWN = (b"/proc", b"/sys", b"/dev")


class Piece(NamedTuple):
    """One mount of the view.

    `root` is its path inside its file system; `source` is where a BIND comes from: an overlay's point, a name in that.
    """

    point: bytes
    how: str
    mount: Mount
    root: bytes = b""
    source: tuple[bytes, bytes] = (b"", b"")
    is_directory: bool = True

    @property
    def flags(self) -> int:
        """Give the mount flags in the view: the host's, and no device ever (traps D)."""
        return self.mount.flags | NODEV | (RDONLY if self.how in (SEAL, SHOW) else 0)


class View(NamedTuple):
    """All pieces, outermost first, and what they cannot cover, in sentences."""

    pieces: tuple[Piece, ...]
    limits: tuple[str, ...]

    def overlays(self) -> tuple[Piece, ...]:
        """Give the pieces that record."""
        return tuple(piece for piece in self.pieces if piece.how == OVERLAY)


def is_risky(mount: Mount) -> bool:
    """Tell whether merely looking at a mount may wait for ever."""
    return mount.kind in REMOTE or mount.kind == b"autofs" or mount.kind.startswith(b"fuse")


def plan_view(mounts: Sequence[Mount], file_type: Callable[[bytes], str], split: Split | None = None) -> View:
    """Decide about every visible mount.

    `file_type` tells `dir`, `file`, `closed` (to us) or another type of a mount point that is safe to look at; `split`
    is for views without root. NotPossibleError when the root directory cannot be overlaid at all.
    """
    shown = visible(mounts)
    root = holding(shown, b"/")
    if root is None:
        raise NotPossibleError("This process is in a chroot whose root is not a mount of its own.", next=_INSTEAD)
    if split is None and (root.kind in NOT_LOWER or root.read_only):
        raise _impossible_root(root)
    pieces = _overlays(shown, mounts, file_type, split)
    layers = [piece for piece in pieces if piece.how == OVERLAY]
    done = {piece.mount.id for piece in pieces}
    pieces += [_other(mount, layers, file_type) for mount in shown if mount.id not in done]
    pieces = [piece for piece in pieces if piece.how != OUTSIDE]
    pieces.sort(key=lambda piece: piece.point)
    limits = [_limit(piece) for piece in pieces] + [_autofs_limit(mount) for mount in shown]
    return View(tuple(pieces), tuple(sentence for sentence in limits if sentence))


_INSTEAD = "Run backout on the host itself."


def _impossible_root(root: Mount) -> NotPossibleError:
    if root.read_only:
        return NotPossibleError("The root file system is mounted read-only.", next="mount -o remount,rw /")
    kind = root.kind.decode(errors="replace")
    return NotPossibleError(
        f"The root file system is {kind}, as in most containers: it cannot hold the changes of a rehearsal.",
        next=_INSTEAD,
    )


class Split(Protocol):
    """How a tree is taken apart without root: what the user may write, and a directory's directories by path."""

    writable: list[bytes]

    def folders(self, point: bytes) -> Sequence[bytes]:
        """List them."""


def _overlays(
    shown: Sequence[Mount], mounts: Sequence[Mount], file_type: Callable[[bytes], str], split: Split | None
) -> list[Piece]:
    """Choose the layers: of each file system the mounts that show most of it, and no part twice."""
    taken: dict[bytes, list[bytes]] = {}
    pieces: list[Piece] = []
    for mount in sorted(shown, key=lambda mount: (len(mount.root), mount.point)):
        if not can_record(mount) or any(is_within(mount.root, root) for root in taken.get(mount.device, [])):
            continue
        if file_type(mount.point) != "dir":
            continue
        points = [mount.point] if split is None else _points(mount, shown, mounts, split)
        found = [Piece(point, OVERLAY, mount, _root_of(mount, point)) for point in points]
        taken.setdefault(mount.device, []).extend(piece.root for piece in found)
        pieces += found
    return pieces


def _root_of(mount: Mount, point: bytes) -> bytes:
    return os.path.join(mount.root, inside(mount.point, point)) if point != mount.point else mount.root


def _points(mount: Mount, shown: Sequence[Mount], mounts: Sequence[Mount], split: Split) -> list[bytes]:
    """Choose where the layers of one mount begin, without root."""
    writable = [folder for folder in split.writable if holding(shown, folder) is mount]
    found = [part for folder in [mount.point, *writable] for part in parts(folder, mounts, split)]
    return sorted(set(found))


def parts(point: bytes, mounts: Sequence[Mount], split: Split) -> list[bytes]:
    """Take a directory apart until nothing is mounted below a part; what is itself a mount point is not listed."""
    if not any(is_below(mount.point, point) for mount in mounts):
        return [point]
    points = {mount.point for mount in mounts}
    own = [folder for folder in split.folders(point) if folder not in points and folder not in _OWN]
    return [part for folder in own for part in parts(folder, mounts, split)]


def can_record(mount: Mount) -> bool:
    """Tell whether a mount is storage that can be written to, overlaid, and looked at without danger."""
    kernel = mount.kind in PSEUDO or any(is_within(mount.point, own) for own in _OWN)
    return not (kernel or mount.read_only or is_risky(mount) or mount.kind in NOT_LOWER | IMAGES)


def _other(mount: Mount, layers: Sequence[Piece], file_type: Callable[[bytes], str]) -> Piece:
    """Show a mount that has no layer of its own."""
    if is_risky(mount) or mount.kind in PSEUDO or any(is_within(mount.point, own) for own in _OWN):
        return Piece(mount.point, _how_pseudo(mount), mount, mount.root)
    kind = file_type(mount.point)
    if kind == "closed":
        return Piece(mount.point, OUTSIDE, mount, mount.root)
    for layer in sorted(layers, key=lambda layer: -len(layer.root)):
        if layer.mount.device == mount.device and is_within(mount.root, layer.root):
            source = (layer.point, inside(layer.root, mount.root))
            return Piece(mount.point, BIND, mount, mount.root, source, kind == "dir")
    if kind == "dir":
        how = SEAL if mount.kind not in IMAGES | NOT_LOWER else SHOW
    else:
        how = (SHOW if mount.read_only else COPY) if kind == "file" else DEAD
    return Piece(mount.point, how, mount, mount.root, is_directory=kind == "dir")


def _how_pseudo(mount: Mount) -> str:
    if mount.kind == b"autofs" or mount.kind in (b"nsfs", b"binfmt_misc"):
        return OUTSIDE
    if mount.point in _OWN or is_within(mount.point, b"/dev"):
        return OUTSIDE
    if is_within(mount.point, b"/proc"):
        return SHOW if mount.kind.startswith(b"fuse") else OUTSIDE
    return PROC if mount.kind == b"proc" else SHOW


def _limit(piece: Piece) -> str:
    """Say what a piece does not cover: only what could have been written to."""
    mount = piece.mount
    kernel = mount.kind in PSEUDO | IMAGES or any(is_within(piece.point, own) for own in _OWN)
    if piece.how not in (SHOW, SEAL, DEAD) or kernel or mount.read_only:
        return ""
    point, kind = os.fsdecode(piece.point), mount.kind.decode(errors="replace")
    if piece.how == DEAD:
        return f"{point} leads out of this host's tree; in the rehearsal nobody answers there."
    return f"{point} ({kind}) cannot be rehearsed: it was read-only; what would be written there is not known."


def _autofs_limit(mount: Mount) -> str:
    if mount.kind != b"autofs" or any(is_within(mount.point, own) for own in _OWN):
        return ""
    return f"{os.fsdecode(mount.point)} is mounted on demand; what is not mounted yet was missing in the rehearsal."
