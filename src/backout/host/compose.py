"""A view of this host in which only some atoms of a recorded change are there: its layers, made of recorded bits.

Nothing is copied where the file system has hard links: a layer is only looked at, what is written in its view goes to
another one above. What is to be applied later is copied, since from then on it is written to.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat as st
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from backout.errors import NotPossibleError, UsageError
from backout.host.execute import Conflict
from backout.host.folders import copy_appearance
from backout.host.inplace import pour, set_metadata
from backout.host.recorded import NOWHERE, Bits, Recorded
from backout.host.stage import Layer, layer_of
from backout.host.transact import is_noise, stop_at_conflicts
from backout.host.tree import Name, Parents, file_type, held, open_file, reached, state_of
from backout.model.atoms import PARTED
from backout.model.state import State
from backout.model.step import Switch

_KINDS = {"fifo": st.S_IFIFO, "socket": st.S_IFSOCK, "char": st.S_IFCHR, "block": st.S_IFBLK}
_CLONE = 0x40049409
"""FICLONE (linux/fs.h): share a file's blocks until one of both is written to."""
_NO_LINK = (errno.EPERM, errno.EMLINK, errno.EXDEV, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EACCES)
"""What the kernel says where there are no hard links, no more of them, or none of a file like this (linkat(2))."""


TRIAL = "trial-"
"""Begins the id of every composition that is only looked at: by it others know their links from the host's."""


class Wanted(NamedTuple):
    """Which atoms of a change are to be there, and the id of the composition.

    One that is no trial is to be applied later. `side` is for what is only looked at: all of the change (AFTER) or none
    of it (BEFORE), over whatever is there today; then no atom is asked for.
    """

    recorded: Recorded
    chosen: Collection[int]
    name: str
    side: str = ""


def fill(wanted: Wanted, layers: Sequence[Layer]) -> None:
    """Lay into empty layers what makes the host one with only the chosen atoms in it.

    ConflictError when the host moved on at a path that this needs; noise that did keeps its live version.
    """
    recorded = wanted.recorded
    if wanted.side:
        _lay_all(wanted, layers)
        return
    sides = recorded.composing.sides(frozenset(wanted.chosen))
    laid = [path for path, side in sides.items() if side != recorded.live]
    conflicts = recorded.moved_on(laid)
    stop_at_conflicts([conflict for conflict in conflicts if not is_noise(conflict.path)])
    moved = {conflict.path for conflict in conflicts}
    work = _Laying(wanted, sides, layers)
    try:
        work.lay([path for path in laid if not moved or _switched(recorded.bits(path)) not in moved])
    finally:
        work.close()


def _lay_all(wanted: Wanted, layers: Sequence[Layer]) -> None:
    """Lay a side of a change over the host as it is; a ConflictError where that has no place there any more."""
    paths = sorted(wanted.recorded.raw) if wanted.side != wanted.recorded.live else []
    work = _Laying(wanted, dict.fromkeys(paths, wanted.side), layers)
    try:
        work.lay(paths)
    except (FileNotFoundError, NotADirectoryError, FileExistsError) as error:
        where = os.fsencode(error.filename) if isinstance(error.filename, str | bytes) else b"a folder of it"
        stop_at_conflicts([Conflict(where, "it is not there any more as the change needs it")])
    finally:
        work.close()


def _switched(bits: Bits) -> bytes | None:
    return bits.step.path if bits.step else None


class _Laying:
    """One run of `fill`."""

    def __init__(self, wanted: Wanted, sides: Mapping[bytes, str], layers: Sequence[Layer]) -> None:
        self._recorded, self._chosen, name, _ = wanted
        self._sides, self._layers, self._links = sides, layers, _Links(wanted)
        self._targets, self._sources = Parents(), Parents()
        self._may_link = name.startswith(TRIAL)
        self._folders: dict[bytes, bytes] = {}
        self._hiding: set[bytes] = set()
        """Folders in which nothing of the host is seen."""
        self._times: dict[bytes, int] = {}
        self._here: tuple[bytes | None, int] = None, -1
        """The folder in whose layer something was laid last, and what is open for it."""
        self._copied: dict[tuple[int, int], bytes] = {}
        """Where inodes of the stage with several names were copied to: a copy has as many."""
        for layer in layers:
            self._folders[layer.point] = layer.upper
            self._times[layer.upper] = os.lstat(layer.point).st_mtime_ns

    def close(self) -> None:
        self._targets.close()
        self._sources.close()

    def lay(self, paths: Sequence[bytes]) -> None:
        """Lay paths, each folder before what lies in it; the folders' times come last."""
        below = _Below(paths, self._recorded)
        closed: set[bytes] = set()
        for path in paths:
            bits, state = self._recorded.bits(path), self._recorded.state(path, self._sides[path])
            folder = path.rpartition(b"/")[0]
            is_folder = state is not None and state.type == "dir"
            if not is_folder and bits == NOWHERE:
                continue  # of noise an apply does not bring all
            if not is_folder:
                closed.add(path)  # whatever of the host lies in it is not seen
            if state is None and not (folder in closed or folder in self._hiding):
                self._remove(path)
            elif state is not None and is_folder:
                self._lay_folder(path, state, hides=folder in self._hiding or below.is_replaced(path, bits.step))
            elif state is not None:
                self._lay_other(path, state, bits)
        for target, mtime_ns in self._times.items():
            name = self._targets.name(target)
            os.utime(name.name, ns=(mtime_ns, mtime_ns), dir_fd=name.directory)

    def _name(self, path: bytes) -> Name:
        """Give a path's name in its layer; the folders above it are made as they are on the host."""
        folder, _, name = path.rpartition(b"/")
        if folder != self._here[0]:
            self._here = folder, self._targets.name(self._place(path)).directory
        return Name(self._here[1], name)

    def _folder(self, path: bytes) -> bytes:
        if path not in self._folders:
            if layer_of(path, self._layers) is None:
                raise _not_covered(path)
            copy_appearance(path, self._make_folder(path).path)
            self._times[self._folders[path]] = _lstat(path).st_mtime_ns
        return self._folders[path]

    def _make_folder(self, path: bytes) -> Name:
        self._folders[path] = self._place(path)
        name = self._targets.name(self._folders[path])
        self._here = None, -1
        os.mkdir(name.name, 0o700, dir_fd=name.directory)
        return name

    def _lay_folder(self, path: bytes, state: State, *, hides: bool) -> None:
        live = self._recorded.state(path, self._recorded.live)
        if live is None or live.timeless() != state.timeless() or hides:
            is_new = path not in self._folders  # where a layer begins, there is one already
            name = self._make_folder(path) if is_new else self._targets.name(self._folders[path])
            self._here = None, -1
            with held(name) as descriptor:
                status = os.fstat(descriptor)
                owned = is_new or not os.geteuid()  # without root it may stand for somebody else's
                set_metadata(descriptor, state if owned else state._replace(uid=status.st_uid, gid=status.st_gid))
                if hides:
                    prefix = "user" if os.geteuid() else "trusted"
                    os.setxattr(reached(descriptor), prefix + ".overlay.opaque", b"y")
        if hides:
            self._hiding.add(path)
        self._times[self._folder(path)] = state.mtime_ns

    def _remove(self, path: bytes) -> None:
        """Hide what is there (overlayfs.rst, "whiteouts and opaque directories")."""
        name = self._name(path)
        os.mknod(name.name, st.S_IFCHR, os.makedev(0, 0), dir_fd=name.directory)

    def _lay_other(self, path: bytes, state: State, bits: Bits) -> None:
        name = self._name(path)
        if self._sides[path] == PARTED:
            with open(_new(name), "wb") as file:
                file.write(self._recorded.parted(path, self._chosen))
            # Not the recorded time: by that and its size, apt takes dpkg's status for the one that its cache is of.
            with held(name) as descriptor:
                set_metadata(descriptor, state)
            return
        source = None if bits.staged is None else self._sources.name(bits.staged)
        if source is not None and self._may_link and self._is_fit(path, source, state) and _link(source, name):
            return
        if state.type != "file":
            _make(name, state)
        elif source is None or not _holds(source, state):
            raise _not_as_recorded(self._recorded.change.id, path)
        else:
            self._copy(path, source, name)
        _settle(name, state)

    def _copy(self, path: bytes, source: Name, name: Name) -> None:
        status = os.stat(source.name, dir_fd=source.directory, follow_symlinks=False)
        inode = status.st_dev, status.st_ino
        if inode in self._copied:
            parents = Parents()
            _link(parents.name(self._copied[inode]), name)
            parents.close()
            return
        _copy(source, name)
        if status.st_nlink > 1:
            self._copied[inode] = self._place(path)

    def _place(self, path: bytes) -> bytes:
        folder, _, last = path.rpartition(b"/")
        return self._folder(folder or b"/") + b"/" + last

    def _is_fit(self, path: bytes, source: Name, state: State) -> bool:
        """Tell whether a recorded inode may be seen in the view as it is; what may once, may always."""
        if path in self._recorded.fit:
            return True
        status = source.lstat()
        if status is None or not _looks_like(status, state) or self._links.lead_to_the_host(self._place(path), status):
            return False
        self._recorded.fit.add(path)
        return True


class _Below:
    """What of a change lies in folders that it replaced."""

    def __init__(self, laid: Sequence[bytes], recorded: Recorded) -> None:
        self._laid, self._recorded = laid, recorded
        self._all: list[bytes] = []

    def is_replaced(self, path: bytes, step: object) -> bool:
        """Tell whether a folder is replaced by another one, whole: then nothing of the old one is seen in it."""
        if not isinstance(step, Switch) or step.path != path or step.expect is None or step.expect.type != "dir":
            return False
        self._all = self._all or sorted(self._recorded.raw)
        return len(_inside(self._laid, path)) == len(_inside(self._all, path))


def _inside(paths: Sequence[bytes], folder: bytes) -> Sequence[bytes]:
    return paths[bisect_left(paths, folder + b"/") : bisect_left(paths, folder + b"0")]  # "0" follows "/"


class _Links:
    """Tells whether a recorded file has names on the host: that one may not be given one more."""

    def __init__(self, wanted: Wanted) -> None:
        self._recorded, self._own = wanted.recorded, os.fsencode(wanted.name)
        self._others: list[bytes] | None = None

    def lead_to_the_host(self, target: bytes, status: os.stat_result) -> bool:
        """Count the names that are the change's own, or of other trials at this place; what is more is the host's."""
        if status.st_nlink == 1:
            return False
        if self._others is None:
            names = (os.fsencode(name) for name in os.listdir(os.fsdecode(self._recorded.stage)))
            self._others = [name for name in names if name.startswith(TRIAL.encode()) and name != self._own]
        known = self._recorded.names_of(status)
        for other in self._others:
            with contextlib.suppress(OSError):
                known += os.path.samestat(_lstat(target.replace(self._own, other, 1)), status)
        return status.st_nlink > known


def _lstat(path: bytes) -> os.stat_result:
    parents = Parents()
    try:
        name = parents.name(path)
        return os.stat(name.name, dir_fd=name.directory, follow_symlinks=False)
    finally:
        parents.close()


def _looks_like(status: os.stat_result, state: State) -> bool:
    """Tell whether an inode in the stage is as it was recorded, as far as can be told without reading it."""
    seen = (file_type(status), st.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns)
    size = state.size if state.type == "file" else status.st_size
    return seen == (state.type, state.mode, state.uid, state.gid, state.mtime_ns) and status.st_size == size


def _holds(source: Name, state: State) -> bool:
    """Tell whether what is in the stage has the recorded content; read it whole."""
    found = state_of(source)
    return found is not None and (found.type, found.size, found.sha256) == (state.type, state.size, state.sha256)


def _link(source: Name, name: Name) -> bool:
    try:
        os.link(source.name, name.name, src_dir_fd=source.directory, dst_dir_fd=name.directory, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return False
    return True


def _new(name: Name) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name.name, flags, 0o600, dir_fd=name.directory)


def _copy(source: Name, name: Name) -> None:
    """Copy a file's content, sharing its blocks where the file system can do that."""
    reading, writing = open_file(source), _new(name)
    try:
        fcntl.ioctl(writing, _CLONE, reading)
    except OSError:
        pour(reading, writing)
    finally:
        os.close(reading)
        os.close(writing)


def _make(name: Name, state: State) -> None:
    """Make what is no file of what is recorded of it."""
    if state.type == "symlink":
        os.symlink(state.target or b"", name.name, dir_fd=name.directory)
    else:
        major, minor = state.rdev or (0, 0)
        os.mknod(name.name, _KINDS[state.type] | 0o600, os.makedev(major, minor), dir_fd=name.directory)


def _settle(name: Name, state: State) -> None:
    """Give what was made its owner, mode, attributes and time."""
    with held(name) as descriptor:
        set_metadata(descriptor, state)
    os.utime(name.name, ns=(state.mtime_ns, state.mtime_ns), dir_fd=name.directory, follow_symlinks=False)


def _not_covered(path: bytes) -> NotPossibleError:
    return NotPossibleError(
        f"{os.fsdecode(path)} is not covered by a rehearsal here, so that no part of the change can be tried.",
        next="backout doctor",
    )


def _not_as_recorded(change: str, path: bytes) -> UsageError:
    return UsageError(
        f"What is kept of change {change} is not what was rehearsed any more: {os.fsdecode(path)}.",
        next="Rehearse its command again: edits were discarded into it.",
    )
