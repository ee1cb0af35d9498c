"""Making and removing the folders of a rehearsal's layers, so that the host is afterwards as it was, times included."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat as st
import struct
from collections.abc import Iterator, Sequence

from backout.host.files import make_private
from backout.host.mounts import Mount, holding
from backout.host.stage import Layer, change_folder
from backout.host.tree import GONE, Name, Parents, held, open_path, reached
from backout.host.view import OVERLAY, Piece

FROZEN_WORK, CHECK_UPPER, CHECK_WORK = b"/frozen-work", b"/check-upper", b"/check-work"
_GET_FLAGS, _SET_FLAGS, _TOP_DIRECTORY = 0x80086601, 0x40086602, 0x20000  # linux/fs.h, on 64 bits
_OWN_XATTRS = (b"trusted.overlay.", b"user.overlay.")


class Folders:
    """The stage folders of one change."""

    def __init__(self, change: str, state: bytes, mounts: Sequence[Mount]) -> None:
        """Remember where; `mounts` are the visible ones."""
        self._change, self._state, self._mounts = change, state, mounts
        self._uid = os.geteuid()
        self._state_mount = holding(mounts, os.path.realpath(state))
        self._roots: list[tuple[bytes, int, int]] = []
        self._made: list[bytes] = []
        self._laid: list[bytes] = []
        self._held: list[int] = []
        self.elsewhere: list[bytes] = []
        """Points whose layer lies on another file system, so that nothing can be promoted by a rename."""
        self.closed: set[bytes] = set()
        """Points of layers in which this user may write nothing: they only give the answers that the host would."""

    @property
    def primary(self) -> bytes:
        """Name the change's folder below the state folder; it always exists."""
        return change_folder(b"/", self._state, holds_state=True, change=self._change)

    def make(self, pieces: Sequence[Piece]) -> dict[bytes, Layer]:
        """Make the folders of every layer, by mount point. What no folder can be made for is left out."""
        stage = os.path.dirname(self.primary)
        make_private(stage)
        spread(stage)
        make_private(self.primary)
        self._held.append(hold(self.primary))
        self._made.append(self.primary)
        layers: dict[bytes, Layer] = {}
        for number, piece in enumerate(piece for piece in pieces if piece.how == OVERLAY):
            folder = self._folder(piece, number)
            if folder is not None:
                with contextlib.suppress(FileNotFoundError):  # gone since it was listed, as happens in /tmp
                    layers[piece.point] = self._layer(Layer(piece.point, folder))
        return layers

    def _folder(self, piece: Piece, number: int) -> bytes | None:
        """Find a place on the piece's own mount; without root, where there is none, below the state folder."""
        whole = piece.point == piece.mount.point and self._uid == 0
        if self._state_mount is not None and piece.mount.id == self._state_mount.id:
            folder = self.primary if whole else self.primary + b"/%d" % number
        else:
            folder = change_folder(
                piece.mount.point, self._state, holds_state=False, change=self._change, uid=self._uid
            )
            folder += b"" if whole else b"/%d" % number
        try:
            self._make_folder(folder, piece.mount.point)
        except OSError:
            if self._uid == 0:
                return None
            folder = self.primary + b"/%d" % number
            self._make_folder(folder, piece.mount.point)
            self.elsewhere.append(piece.point)
        return folder

    def _make_folder(self, folder: bytes, point: bytes) -> None:
        if os.path.dirname(folder) == os.path.dirname(self.primary) or folder.startswith(self.primary):
            make_private(folder)
        else:
            self._make_hidden(folder, point)

    def _make_hidden(self, folder: bytes, point: bytes) -> None:
        """Make a stage at a mount's root, giving that root its times back."""
        parents = Parents()
        try:
            for path in _ways(point, folder):
                name = parents.name(path)
                status = os.fstat(name.directory)
                try:
                    os.mkdir(name.name, 0o700, dir_fd=name.directory)
                except FileExistsError:
                    _must_be_ours(name, self._uid)
                    continue
                self._made.append(path)
                if os.path.dirname(path) == point:
                    spread(path)
                    self._roots.append((point, status.st_atime_ns, status.st_mtime_ns))
                    _restore_times(point, status.st_atime_ns, status.st_mtime_ns)
        finally:
            parents.close()

    def _layer(self, layer: Layer) -> Layer:
        self._laid.append(layer.folder)
        try:
            os.mkdir(layer.upper, 0o700)
        except FileExistsError:  # not ours to remove: another state folder's rehearsal may be at work there
            self._laid.remove(layer.folder)
            raise
        os.mkdir(layer.work, 0o700)
        copy_appearance(layer.point, layer.upper)
        if self._uid and not (os.access(layer.point, os.W_OK) or os.lstat(layer.point).st_uid == self._uid):
            self.closed.add(layer.point)
            _close_to_its_owner(layer.point, layer.upper)
        return layer

    def times(self, layers: Sequence[Layer]) -> dict[bytes, int]:
        """Give T0 for each layer: the change time of a file made now on its file system (traps B9), in nanoseconds."""
        return {layer.point: self._now(layer) for layer in layers}

    @staticmethod
    def _now(layer: Layer) -> int:
        probe = layer.folder + b"/t0"
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            return os.fstat(descriptor).st_ctime_ns
        finally:
            os.close(descriptor)
            os.unlink(probe)

    def remove_work(self, layers: Sequence[Layer]) -> None:
        """Remove what only the mounts needed; the uppers stay, where something could be written to them."""
        for layer in layers:
            if layer.point in self.closed:
                remove_tree(layer.folder)
                continue
            for path in (layer.work, *(layer.folder + name for name in (FROZEN_WORK, CHECK_UPPER, CHECK_WORK))):
                remove_tree(path)

    def remove(self) -> None:
        """Remove everything that `make` made, be it half-way, and give the mount roots their times back."""
        for folder in self._laid:
            if folder != self.primary:  # which goes last: while it is there, all that lies elsewhere is ours
                remove_tree(folder)
        for path in reversed(self._made):
            if path == self.primary:
                remove_tree(path)
            with contextlib.suppress(OSError):
                os.rmdir(path)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(self.primary))
        for point, accessed, modified in self._roots:
            _restore_times(point, accessed, modified)
        for descriptor in self._held:
            os.close(descriptor)
        self._made, self._laid, self._roots, self._held = [], [], [], []


def spread(stage: bytes) -> None:
    """Have ext4 put each change's folder elsewhere on the disk (chattr(1), attribute T); other file systems need none.

    For minutes after an inode was freed ext4 passes over it, one by one (fs/ext4/ialloc.c, recently_deleted): what a
    second rehearsal creates where the first one's layer was removed takes several times as long.
    """
    descriptor = open_path(stage)
    try:
        flags = bytearray(8)
        fcntl.ioctl(descriptor, _GET_FLAGS, flags)
        (value,) = struct.unpack("=q", flags)
        if not value & _TOP_DIRECTORY:
            fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("=q", value | _TOP_DIRECTORY))
    except OSError:
        pass  # no ext4: nothing to gain
    finally:
        os.close(descriptor)


def hold(folder: bytes) -> int:
    """Show that a change's folder is in use, until the descriptor is closed or we end: gc leaves it alone.

    Who has claimed the change's id holds it already.
    """
    descriptor = open_path(folder)
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor


def _ways(point: bytes, folder: bytes) -> list[bytes]:
    """Name the folders between a mount's root and a layer's folder, outermost first."""
    found = []
    while folder != point:
        found.append(folder)
        folder = os.path.dirname(folder)
    return found[::-1]


def _must_be_ours(name: Name, uid: int) -> None:
    """A stage that somebody else made is none: they could watch, or lead us elsewhere."""
    status = name.lstat()
    if status is None or status.st_uid != uid or not st.S_ISDIR(status.st_mode) or status.st_mode & 0o077:
        raise PermissionError(errno.EPERM, "not a private folder of our own", name.name)


def _restore_times(point: bytes, accessed: int, modified: int) -> None:
    with contextlib.suppress(OSError):
        descriptor = open_path(point)
        try:
            os.utime(descriptor, ns=(accessed, modified))
        finally:
            os.close(descriptor)


def copy_appearance(source: bytes, target: bytes) -> None:
    """Give a layer's root the mode, owner, ACL, labels and times of the directory beneath it (traps A5)."""
    parents = Parents()
    try:
        with held(parents.name(source)) as descriptor:
            copy_held_appearance(descriptor, target)
    finally:
        parents.close()


def copy_held_appearance(descriptor: int, target: bytes) -> None:
    """Do so from what is held."""
    status, source = os.fstat(descriptor), reached(descriptor)
    if os.geteuid() == 0:
        os.chown(target, status.st_uid, status.st_gid)
    else:
        with contextlib.suppress(OSError):
            os.chown(target, -1, status.st_gid)
    for key in _xattrs(source):
        with contextlib.suppress(OSError):
            os.setxattr(target, key, os.getxattr(source, key))
    os.chmod(target, status.st_mode & 0o7777)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _close_to_its_owner(live: bytes, upper: bytes) -> None:
    """Let us do in our copy of somebody else's directory what we may do in theirs: never write."""
    may = (os.R_OK if os.access(live, os.R_OK) else 0) | (os.X_OK if os.access(live, os.X_OK) else 0)
    os.chmod(upper, os.lstat(live).st_mode & 0o7077 | may << 6)


def _xattrs(path: bytes) -> Iterator[bytes]:
    try:
        keys = [os.fsencode(key) for key in os.listxattr(path)]
    except OSError:
        return
    yield from (key for key in keys if not key.startswith(_OWN_XATTRS))


def remove_tree(path: bytes) -> None:
    """Remove a folder with all beneath; what is not there is fine. Without root, closed folders are opened first.

    No link on the way is followed: where one is, nothing of ours is.
    """
    parents = Parents()
    try:
        name = parents.name(path)
    except OSError as error:
        if error.errno not in GONE:
            raise
        return
    try:
        if name.lstat() is not None:
            _remove_tree(name.path)
    finally:
        parents.close()


def _remove_tree(path: bytes) -> None:
    if os.geteuid() != 0 and not os.path.islink(path):
        os.chmod(path, 0o700)
        for folder, names, _ in os.walk(path):
            os.chmod(folder, 0o700)
            for name in names:
                below = os.path.join(folder, name)
                if not os.path.islink(below):
                    os.chmod(below, 0o700)
    shutil.rmtree(path)
