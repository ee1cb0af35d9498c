"""Reading the upper layers: raw effects, and what the plan must know of each path.

Only the upper layers are walked; of the live tree just the touched paths are looked at, and what is hidden beneath a
removed or replaced directory (traps B1 to B4).
"""

from __future__ import annotations

import os
import stat as st
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from backout.host.stage import Layer
from backout.host.tree import (
    Name,
    file_handle,
    is_origin,
    names,
    open_directory,
    open_path,
    origin_handle,
    overlay_xattr,
    state_of,
)
from backout.model.effect import RawEffect
from backout.model.state import State


class Found(NamedTuple):
    """What the plan must know of a path beside its states; of what is merely in a new directory, nothing.

    `upper` is where its new inode lies (None: removed). `root` is the path with which it is switched: itself, or the
    new or replaced directory above it. `merged` marks a directory that exists on both sides. `inode` and `links` are
    the live inode's number and link count, `upper_inode` and `upper_links` the new one's; `copied` tells that the new
    one began as a copy of the live one, so that its other names are meant, too; `split`, that the live one has other
    names, and the new one surely did not begin as a copy of it. `origin` and `handle` are for files
    with several names: the file handle of the inode that the new one began as a copy of, and that of the live one.
    `mtimes` are a merged directory's modification times, live and new, in nanoseconds.
    """

    path: bytes
    upper: bytes | None
    root: bytes
    merged: bool = False
    inode: int | None = None
    links: int = 0
    upper_inode: int | None = None
    upper_links: int = 0
    copied: bool = False
    split: bool = False
    origin: bytes | None = None
    handle: bytes | None = None
    mtimes: tuple[int, int] | None = None


class Scan(NamedTuple):
    """All raw effects, what the plan must know of each path, and the paths at which the host moved on."""

    raw: dict[bytes, RawEffect]
    found: dict[bytes, Found]
    moved: dict[bytes, str]

    def upper(self, path: bytes) -> bytes | None:
        """Tell where the new inode of one of the paths lies; None when it was removed."""
        below = b""
        while path not in self.found:
            path, _, name = path.rpartition(b"/")
            below = b"/" + name + below
        upper = self.found[path].upper
        return None if upper is None else upper + below

    def is_merged(self, path: bytes) -> bool:
        """Tell whether one of the paths is a directory that exists on both sides."""
        return path in self.found and self.found[path].merged


class _Frame(NamedTuple):
    """A directory that is being read: its path, its side in the upper layer, its live side, and how it is switched."""

    path: bytes
    upper_path: bytes
    upper: int | None
    live: int | None
    root: bytes | None


def scan(layers: Sequence[Layer], t0_ns: Mapping[bytes, int]) -> Scan:
    """Read every layer. `t0_ns` is the base per mount point: what changed on the host since then has moved on."""
    result = Scan({}, {}, {})
    for layer in layers:
        _Reader(result, t0_ns[layer.point]).read(layer)
    return result


class _Reader:
    """Walks one upper layer beside the live tree."""

    def __init__(self, result: Scan, t0_ns: int) -> None:
        self._result = result
        self._t0_ns = t0_ns
        self._indexed = False

    def read(self, layer: Layer) -> None:
        """Read the layer's root directory and all beneath it."""
        self._indexed = os.path.isdir(layer.work + b"/index")
        upper, live = open_path(layer.upper), open_path(layer.point)
        self._directory_itself(layer, upper, live)
        stack = [_Frame(b"" if layer.point == b"/" else layer.point, layer.upper, upper, live, None)]
        walks = [self._walk(stack[0])]
        try:
            while walks:
                frame = next(walks[-1], None)
                if frame is None:
                    walks.pop()
                    _close(stack.pop())
                else:
                    stack.append(frame)
                    walks.append(self._walk(frame))
        finally:
            for frame in stack:
                _close(frame)

    def _directory_itself(self, layer: Layer, upper: int, live: int) -> None:
        sides = Name(upper, b"."), Name(live, b".")
        after, before = state_of(sides[0]), state_of(sides[1])
        if after is not None and before is not None and os.geteuid() != 0:
            # without root our side of somebody else's folder is ours, and nobody could have given the folder away
            after = after._replace(uid=before.uid, gid=before.gid)
        found = Found(layer.point, layer.upper, layer.point, merged=True, mtimes=_mtimes(before, after))
        self._result.found[layer.point] = found
        if after != before:
            self._result.raw[layer.point] = RawEffect(layer.point, before, after)

    def _walk(self, frame: _Frame) -> Iterator[_Frame]:
        """Record the directory's entries; give the directories to go on with."""
        present = [] if frame.upper is None else names(frame.upper)
        for name in present:
            yield from self._entry(frame, name)
        if frame.live is not None and frame.root is not None:
            for name in sorted(set(names(frame.live)) - set(present)):
                yield from self._removed(frame, name, frame.root)

    def _entry(self, frame: _Frame, name: bytes) -> Iterator[_Frame]:
        upper = Name(frame.upper if frame.upper is not None else -1, name)
        status = upper.lstat()
        if status is None:
            return
        if is_whiteout(upper, status):
            yield from self._removed(frame, name, frame.root)
            return
        live = None if frame.live is None else Name(frame.live, name)
        live_status = None if live is None else live.lstat()
        path, upper_path = frame.path + b"/" + name, frame.upper_path + b"/" + name
        merged = self._is_merged(frame, upper, status, live_status)
        root = frame.root or (None if merged else path)
        before = None if live is None or live_status is None else state_of(live)
        found = Found(
            path, upper_path, root or path, merged=merged, upper_inode=status.st_ino, upper_links=status.st_nlink
        )
        if _has_other_names(status):
            found = found._replace(origin=origin_handle(overlay_xattr(upper, b"origin")))
        if live is not None and live_status is not None:
            found = self._base(found, upper, live, live_status)
        after = state_of(upper)
        if found.root == path or before is not None or _has_other_names(status):
            self._result.found[path] = found._replace(mtimes=_mtimes(before, after)) if merged else found
        self._result.raw[path] = RawEffect(path, before, after)
        if st.S_ISDIR(status.st_mode):
            below = live is not None and live_status is not None and st.S_ISDIR(live_status.st_mode)
            yield _Frame(
                path, upper_path, open_directory(upper), open_directory(live) if below and live else None, root
            )
        elif live is not None and live_status is not None and st.S_ISDIR(live_status.st_mode):
            yield _Frame(path, upper_path, None, open_directory(live), root)

    @staticmethod
    def _is_merged(frame: _Frame, upper: Name, status: os.stat_result, live: os.stat_result | None) -> bool:
        both = st.S_ISDIR(status.st_mode) and live is not None and st.S_ISDIR(live.st_mode)
        return both and frame.root is None and overlay_xattr(upper, b"opaque") is None

    def _base(self, found: Found, upper: Name, live: Name, status: os.stat_result) -> Found:
        origin = overlay_xattr(upper, b"origin")
        same = is_origin(origin, live)
        if found.merged and not same:
            self._result.moved[found.path] = "it was replaced by another directory"
        if not found.merged:
            self._compare_with_base(found.path, status)
        copied = same and origin is not None
        found = found._replace(inode=status.st_ino, links=status.st_nlink, copied=copied, handle=_handle(live, status))
        # Without the index a mere copy has no origin, either: what touched it is then no reason to part the names.
        return found._replace(split=self._indexed and _has_other_names(status) and not copied)

    def _removed(self, frame: _Frame, name: bytes, root: bytes | None) -> Iterator[_Frame]:
        live = None if frame.live is None else Name(frame.live, name)
        status = None if live is None else live.lstat()
        if live is None or status is None:
            return
        path = frame.path + b"/" + name
        self._compare_with_base(path, status)
        self._result.raw[path] = RawEffect(path, state_of(live), None)
        self._result.found[path] = Found(
            path, None, root or path, inode=status.st_ino, links=status.st_nlink, handle=_handle(live, status)
        )
        if st.S_ISDIR(status.st_mode):
            yield _Frame(path, b"", None, open_directory(live), root or path)

    def _compare_with_base(self, path: bytes, status: os.stat_result) -> None:
        if status.st_ctime_ns >= self._t0_ns:
            self._result.moved[path] = "it was changed while the command was rehearsed"


def _has_other_names(status: os.stat_result) -> bool:
    return status.st_nlink > 1 and not st.S_ISDIR(status.st_mode)


def _handle(live: Name, status: os.stat_result) -> bytes | None:
    return file_handle(live) if _has_other_names(status) else None


def orphaned_edits(layers: Sequence[Layer], scanned: Scan) -> list[bytes]:
    """Name the files with several names that were changed through a name that is gone by now (traps A3).

    Their new content lies in the overlay's index alone, so the other names would silently keep the old one.
    """
    gone = [path for path, where in scanned.found.items() if where.handle is not None and not where.copied]
    return [path for layer in layers for path in gone if _changed_in_index(layer, path, scanned.raw[path].before)]


def _changed_in_index(layer: Layer, path: bytes, before: State | None) -> bool:
    try:
        index, parent = open_path(layer.work + b"/index"), open_path(path.rpartition(b"/")[0])
    except OSError:
        return False  # no index: hard links were split, which the limits say
    try:
        live = Name(parent, path.rpartition(b"/")[2])
        copies = (Name(index, name) for name in names(index))
        states = [state_of(copy) for copy in copies if _is_copy(overlay_xattr(copy, b"origin"), live)]
        return any(state and before and state.timeless() != before.timeless() for state in states)
    finally:
        os.close(index)
        os.close(parent)


def _is_copy(origin: bytes | None, live: Name) -> bool:
    return origin is not None and is_origin(origin, live)


def _mtimes(before: State | None, after: State | None) -> tuple[int, int] | None:
    return None if before is None or after is None else (before.mtime_ns, after.mtime_ns)


def _close(frame: _Frame) -> None:
    for descriptor in (frame.upper, frame.live):
        if descriptor is not None:
            os.close(descriptor)


def is_whiteout(name: Name, status: os.stat_result) -> bool:
    """Tell a whiteout in either of its two forms (traps B1; overlayfs.rst, "whiteouts and opaque directories")."""
    if st.S_ISCHR(status.st_mode):
        return status.st_rdev == 0
    return st.S_ISREG(status.st_mode) and status.st_size == 0 and overlay_xattr(name, b"whiteout") is not None
