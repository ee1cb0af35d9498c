"""Directories that the command renamed. The kernel keeps such a one as the name of its old place (traps A2).

Neither a plan nor a second view could be made of that. So each becomes a directory of its own before the view ends:
what is in it is moved there, name by name, as a program does that is told EXDEV. Files with other names keep them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat as st
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from backout.host.inplace import set_metadata
from backout.host.stage import Layer
from backout.host.tree import Name, names, open_directory, open_path, overlay_xattr, state_of
from backout.model.state import State

_MADE = b".backout-renamed"


def renamed(layers: Sequence[Layer]) -> list[bytes]:
    """Give the paths, in the view, of the directories whose content lies below another name; outermost ones alone."""
    return [path for layer in layers for path in _below(layer)]


def _below(layer: Layer) -> Iterator[bytes]:
    """Walk the directories of an upper layer; their files are not looked at."""
    stack = [(layer.point.rstrip(b"/"), open_path(layer.upper))]
    while stack:
        path, directory = stack.pop()
        try:
            with os.scandir(directory) as entries:
                found = sorted(os.fsencode(entry.name) for entry in entries if entry.is_dir(follow_symlinks=False))
            for name in found:
                if overlay_xattr(Name(directory, name), b"redirect") is not None:
                    yield path + b"/" + name
                else:
                    stack.append((path + b"/" + name, open_directory(Name(directory, name))))
        finally:
            os.close(directory)


class _Frame(NamedTuple):
    """A directory that is taken apart: where it is, and the open one, in the same place, that its content goes to."""

    old: Name
    state: State
    source: int
    target: int
    left: list[bytes]


def settle(path: bytes) -> None:
    """Make a renamed directory, in the view, one of its own. OSError when something in it cannot be moved."""
    folder, _, name = path.rpartition(b"/")
    parent = open_path(folder or b"/")
    try:
        times = os.fstat(parent)
        _settle(Name(parent, name))
        os.utime(parent, ns=(times.st_atime_ns, times.st_mtime_ns))
    finally:
        os.close(parent)


def _settle(top: Name) -> None:
    stack = [_begin(top, top.directory)]
    try:
        while stack:
            frame = stack[-1]
            if not frame.left:
                _finish(frame, stack[-2].target if len(stack) > 1 else top.directory)
                stack.pop()
                continue
            name = Name(frame.source, frame.left.pop())
            if st.S_ISDIR(os.stat(name.name, dir_fd=name.directory, follow_symlinks=False).st_mode):
                stack.append(_begin(name, frame.target))
            else:
                os.rename(name.name, name.name, src_dir_fd=frame.source, dst_dir_fd=frame.target)
    finally:
        for frame in stack:
            _close(frame)


def _begin(old: Name, beside: int) -> _Frame:
    """Open a directory, and make the one that its content goes to."""
    state, source = state_of(old), open_directory(old)
    if state is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), old.name)
    made = Name(beside, _MADE if beside == old.directory else old.name)
    os.mkdir(made.name, 0o700, dir_fd=beside)
    return _Frame(old, state, source, open_directory(made), names(source)[::-1])


def _finish(frame: _Frame, beside: int) -> None:
    """Give the new directory all that the old one is, and its place."""
    set_metadata(frame.target, frame.state)
    os.rmdir(frame.old.name, dir_fd=frame.old.directory)
    if beside == frame.old.directory:
        os.rename(_MADE, frame.old.name, src_dir_fd=beside, dst_dir_fd=beside)
    os.utime(frame.target, ns=(frame.state.mtime_ns, frame.state.mtime_ns))
    _close(frame)


def _close(frame: _Frame) -> None:
    for descriptor in (frame.source, frame.target):
        with contextlib.suppress(OSError):
            os.close(descriptor)
