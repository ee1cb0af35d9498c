"""What was known of files at the last look, so that only what changed is read again (FORMATS.md, "known").

Rows lie in the order of a walk, and are read and written while one goes on: memory stays flat. A file has the value it
had when device, inode, size, mtime and ctime are the same; ctime cannot be set by a program. What was changed less than
two seconds before the look began is not kept: it could change once more within one tick of the clock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any, BinaryIO, Callable, NamedTuple, final

from backout.host.files import make_private
from backout.host.tree import Parents, open_file

FORMAT = b"backout.known/1\n"
YOUNG_NS = 2_000_000_000
_END_BYTES = 65
"""A SHA-256 in hex of all before it, and a line feed."""
_BUFFER_BYTES = 1 << 20
_decode = json.JSONDecoder().decode


class _Row(NamedTuple):
    path: str
    stamp: str
    value: Any
    line: bytes


def stamp_of(status: os.stat_result) -> str:
    """Give what is the same as long as nothing was written to a file, its metadata, or a folder's names."""
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


@final
class Known:
    """One area's rows: `recall` and `keep` are asked path by path, in the order of a walk (parts compared as text).

    When the block ends well, what was recalled and kept is what the next look knows. Nothing here can fail a look:
    what cannot be read is not known, and why it could not be written is told.
    """

    def __init__(self, folder: bytes, area: str, began_ns: int, tell: Callable[[str], None] = lambda _: None) -> None:
        """Know what the file `area` of a folder holds; `tell` is given a sentence when that cannot be written."""
        self._tell = tell
        self._path = folder + b"/" + os.fsencode(area)
        self._began_ns = began_ns
        self._rows: Iterator[_Row] = iter(())
        self._row: _Row | None = None
        self._new: BinaryIO | None = None
        self._digest = hashlib.sha256()

    def __enter__(self) -> Known:
        """Begin to read what was known, and to write what is; of two looks at once, one writes."""
        self._rows = _rows(self._path)
        self._row = next(self._rows, None)
        try:
            make_private(os.path.dirname(self._path))
            self._new = _begun(self._path + b".new")
        except OSError as error:
            self._give_up(error)
        self._put(FORMAT)
        return self

    def recall(self, path: str, status: os.stat_result) -> Any:
        """Give what was kept of a path, if it is as it was; None when it has to be looked at."""
        row = self._row
        if row is not None and row.path != path:
            key = path.split("/")
            while row is not None and row.path.split("/") < key:
                row = next(self._rows, None)
            self._row = row
        if row is None or row.path != path or row.stamp != stamp_of(status):
            return None
        self._row = next(self._rows, None)
        self._put(row.line)
        return row.value

    def keep(self, path: str, status: os.stat_result, value: Any) -> None:
        """Keep a JSON value of a path for the next look, unless it changed just now."""
        if status.st_ctime_ns < self._began_ns - YOUNG_NS:
            self._put(json.dumps([path, stamp_of(status), value], separators=(",", ":")).encode() + b"\n")

    def _put(self, line: bytes) -> None:
        if self._new is None:
            return
        self._digest.update(line)
        try:
            self._new.write(line)
        except OSError as error:
            self._give_up(error)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Put the new rows in the place of the old; a crash leaves these, or something that says that it is damaged."""
        self._rows = iter(())
        if self._new is None:
            return
        if kind is not None:
            self._give_up(None)
            return
        try:
            self._new.write(self._digest.hexdigest().encode() + b"\n")
            self._new.flush()
            os.rename(self._path + b".new", self._path)
            self._new.close()
        except OSError as failure:
            self._give_up(failure)

    def _give_up(self, error: OSError | None) -> None:
        if error is not None:
            self._tell(f"What was hashed is not kept for the next look: {error.strerror or error}.")
        if self._new is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._path + b".new")
            with contextlib.suppress(OSError):  # what is in its buffer cannot be written, either
                self._new.close()
        self._new = None


def _begun(path: bytes) -> BinaryIO | None:
    """Open the file that the rows are written to, empty; None while another look writes it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if not _is_ours(descriptor, path):
        os.close(descriptor)
        return None
    os.ftruncate(descriptor, 0)
    return open(descriptor, "wb", buffering=_BUFFER_BYTES)


def _is_ours(descriptor: int, path: bytes) -> bool:
    """Take the lock of an open file; False when another look holds it, or has put the file in its place meanwhile."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(descriptor).st_ino == os.stat(path).st_ino
    except (BlockingIOError, FileNotFoundError):
        return False


def _rows(path: bytes) -> Iterator[_Row]:
    """Read what was kept; nothing where that is not whole."""
    try:
        with _opened(path) as file:
            if not _is_whole(file):
                return
            file.seek(len(FORMAT))
            for line in file:
                if not line.startswith(b"["):
                    return
                name, stamp, value = _decode(line.decode())
                yield _Row(name, stamp, value, line)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE, errno.EACCES, errno.EIO):
            raise


def _opened(path: bytes) -> BinaryIO:
    parents = Parents()
    try:
        return open(open_file(parents.name(path)), "rb", buffering=_BUFFER_BYTES)
    finally:
        parents.close()


def _is_whole(file: BinaryIO) -> bool:
    """Hold a file against the hash at its end."""
    left = os.fstat(file.fileno()).st_size - _END_BYTES
    if left < len(FORMAT):
        return False
    digest = hashlib.sha256()
    begin = b""
    while left > 0:
        chunk = file.read(min(left, _BUFFER_BYTES))
        if not chunk:
            return False
        begin = begin or chunk[: len(FORMAT)]
        digest.update(chunk)
        left -= len(chunk)
    return begin == FORMAT and file.read() == digest.hexdigest().encode() + b"\n"


def forget(folder: bytes, prefix: str, but: set[str]) -> None:
    """Remove the areas of a prefix that nothing belongs to any more."""
    with contextlib.suppress(OSError):  # they cost their space, no more
        for name in os.listdir(folder):
            area = os.fsdecode(name)
            if area.startswith(prefix) and area not in but and not area.endswith(".new"):
                os.unlink(folder + b"/" + name)
