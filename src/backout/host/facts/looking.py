"""One look: what is asked for, what was counted, and what could not be read. Every source is given it."""

from __future__ import annotations

import os
import stat as st
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from backout.host.mounts import is_within
from backout.model.service import unit_name

if TYPE_CHECKING:
    from backout.host.facts.known import Known

BELIEVED = "by device, inode, size, mtime and ctime"
"""How files are told to be as they were (`facts.known`)."""
_LEAST_BYTES, _MORE_BYTES, _MOST_BYTES = 1 << 12, 1 << 18, 1 << 24
"""How much is asked for at a time: first what a file says that it has, then more and more. Of all that it is asked for
/proc/sys makes room, with zeroes in it.
"""
_LONG = 60
_MOST_UNREAD = 10_000
_SHOWN = 3


class Looking:
    """What a look is about, and what it learns on the way. `watch` has no path that lies in another one of it."""

    def __init__(self, state: bytes, watch: Iterable[str] = (), services: Iterable[str] = ()) -> None:
        """Begin now; `state` is the state folder, which is never looked at itself."""
        self.state = os.fsdecode(state)
        self.watch = outermost(watch)
        self.services = tuple(map(unit_name, dict.fromkeys(services)))
        self.began_ns = time.time_ns()
        self.limits: list[str] = []
        self.seen = self.hashed = self.known = 0
        self._unread: dict[str, set[str]] = {}
        """The paths that could not be read, or the first of very many, by reason."""

    def recall(self, area: str) -> Known:
        """Open what was known of an area at the last look."""
        from backout.host.facts.known import Known

        return Known(os.fsencode(self.state) + b"/known", area, self.began_ns, self.limit)

    def limit(self, text: str) -> None:
        """Say what could not be told, once."""
        if text not in self.limits:
            self.limits.append(text)

    def unread(self, path: str, error: OSError) -> None:
        """Say that a path could not be read; many are told in one line for each reason."""
        paths = self._unread.setdefault(error.strerror or str(error), set())
        if len(paths) < _MOST_UNREAD:
            paths.add(path)

    def read(self, path: str) -> bytes | None:
        """Give a file's content, of a link what it leads to; None when no file is there, or it may not be read."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.unread(path, error)
            return None
        try:
            status = os.fstat(descriptor)
            return _content(descriptor, status.st_size) if st.S_ISREG(status.st_mode) else None
        except OSError as error:  # some of /proc and /sys say so only now
            self.unread(path, error)
            return None
        finally:
            os.close(descriptor)

    def names(self, path: str) -> list[str]:
        """List a folder, sorted; empty when there is none, or it may not be listed."""
        try:
            return sorted(os.listdir(path))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self.unread(path, error)
            return []

    def is_watched(self, path: str) -> bool:
        """Tell whether a path lies under `watch`."""
        raw = os.fsencode(path)
        return any(is_within(raw, os.fsencode(root)) for root in self.watch)

    def all_limits(self) -> list[str]:
        """Give what could not be told, in sentences."""
        return [*self.limits, *(_of_many(why, paths) for why, paths in self._unread.items())]


def _content(descriptor: int, size: int) -> bytes:
    """Read a file whole: of this size it says that it is, which those of the kernel do not know."""
    parts, size = [], min(max(size + 1, _LEAST_BYTES), _MOST_BYTES)
    while part := os.read(descriptor, size):
        parts.append(part)
        size = size if len(part) < size else min(4 * size, _MORE_BYTES)
    return b"".join(parts)


def outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """Leave out paths that lie in another one; the rest in the order in which a walk meets them."""
    kept: list[str] = []
    for path in sorted({os.path.normpath(path) for path in paths}, key=lambda path: path.split("/")):
        if not any(is_within(os.fsencode(path), os.fsencode(outer)) for outer in kept):
            kept.append(path)
    return tuple(kept)


def _of_many(why: str, paths: set[str]) -> str:
    shown = ", ".join(path if len(path) <= _LONG else f"{path[:_LONG]}…" for path in sorted(paths)[:_SHOWN])
    more = f"{'at least ' if len(paths) == _MOST_UNREAD else ''}{len(paths) - _SHOWN}" if len(paths) > _SHOWN else ""
    return f"Could not be read: {shown}{f' and {more} more' if more else ''} ({why})."
