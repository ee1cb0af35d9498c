"""The ledger on disk: JSON lines, each fsynced before anything that it promises is done.

Each carrying the hash of the one before.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from backout.errors import FailedError, NeedsPersonError, NotPossibleError, RefusedError
from backout.host.files import is_held, make_private, read_whole, sync_folder
from backout.host.trouble import HALF_WAY, RECOVER, told
from backout.model.chain import GENESIS, link_hash
from backout.model.digest import canonical
from backout.model.shape import load, text, whole

if TYPE_CHECKING:  # imported where there are entries: what a host has no record of need not be understood
    from backout.model.ledger import LedgerEntry

_PATIENCE_S = 10.0


class Ledger:
    """One host's ledger, in the state folder. Only the holder of the lock appends."""

    def __init__(self, state: bytes) -> None:
        """Look at the state folder; it is made on the first append."""
        self.state = state
        self.path = state + b"/ledger"
        self._lock: int | None = None

    def entries(self) -> list[LedgerEntry]:
        """Read and verify everything. A last line cut short by a crash was never promised and is left out."""
        try:
            lines = read_whole(self.path).split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            what = f"The ledger {os.fsdecode(self.path)} cannot be read: {error.strerror}."
            raise FailedError(what, next="backout doctor") from error
        lines.pop()
        entries, prev = [], GENESIS
        for number, line in enumerate(lines, 1):
            entry = self._entry(number, line, prev)
            entries.append(entry)
            prev = link_hash(entry._asdict())
        return entries

    def _entry(self, number: int, line: bytes, prev: str) -> LedgerEntry:
        from backout.model.ledger import FORMAT, entry_from

        try:
            document = load(line)
            newer = _newer(document, FORMAT)
            entry = None if newer else entry_from(document)
        except ValueError as error:
            raise self._corrupt(number, "cannot be read") from error
        if entry is None:
            raise NotPossibleError(
                f"Line {number} of the ledger has format {document['format']}; this backout reads up to {FORMAT}.",
                next=f"Use backout {newer}.",
            )
        if entry.prev != prev or entry.seq != number:
            raise self._corrupt(number, "does not follow the line before it")
        return entry

    def _corrupt(self, number: int, what: str) -> NeedsPersonError:
        path = os.fsdecode(self.path)
        return NeedsPersonError(
            f"{path}, line {number} {what}: the ledger is damaged.",
            state=f"Nothing was changed. Lines 1 to {number - 1} are whole; "
            f"the pre-images under {os.fsdecode(self.state)} are untouched.",
            next="backout recover",
        )

    def append(self, change: str, kind: str, body: dict[str, Any]) -> LedgerEntry:
        """Add one entry; when this returns, it is on disk. The lock must be held."""
        from backout.model.ledger import FORMAT, LedgerEntry

        try:
            entries = self.entries()
        except FailedError as error:  # reading changes nothing, but what the entry was to tell of is under way
            error.state, error.next = HALF_WAY, RECOVER
            raise
        prev = link_hash(entries[-1]._asdict()) if entries else GENESIS
        entry = LedgerEntry(FORMAT, os.uname().nodename, change, len(entries) + 1, prev, kind, time.time(), body)
        with told(f"The ledger {os.fsdecode(self.path)} cannot be written", HALF_WAY, RECOVER):
            self._write(canonical(entry._asdict()) + b"\n")
        return entry

    def _write(self, line: bytes) -> None:
        make_private(self.state)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            end = _whole_length(descriptor)
            os.ftruncate(descriptor, end)
            try:
                self._put(descriptor, line, end)
            except OSError:  # told as not written, so it must not be there, nor come back with the power
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, end)
                    os.fsync(descriptor)
                raise
        finally:
            os.close(descriptor)

    def _put(self, descriptor: int, line: bytes, end: int) -> None:
        os.lseek(descriptor, end, os.SEEK_SET)
        view = memoryview(line)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
        if end == 0:  # new, or its first line failed before
            sync_folder(self.state)

    def lock(self, waiting: Iterator[None] | None = None) -> None:
        """Take the host's lock: a second backout waits a while, then refuses and names the first.

        `waiting` is advanced while it waits, so that a caller can say so. Who holds it already goes on holding it.
        """
        if self._lock is not None:
            return
        make_state(self.state)
        try:
            descriptor = os.open(self.state + b"/lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(self.state, error) from error
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                next(waiting or iter(()), None)
                if time.monotonic() > until:
                    holder = os.read(descriptor, 200).decode(errors="replace") or "unknown"
                    os.close(descriptor)
                    raise RefusedError(
                        f"Another backout is at work on this host: process {holder}.",
                        next="Wait for it to end, then try again.",
                    ) from None
                time.sleep(0.05)
        self._lock = descriptor
        if not os.path.exists(self.state + b"/changes"):  # from now on, one that is not there has been lost
            with contextlib.suppress(OSError):
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        with contextlib.suppress(OSError):  # on a full disk it is held all the same: only nobody can name us
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)

    def is_held(self) -> bool:
        """Tell whether another process holds the lock."""
        return is_held(self.state + b"/lock")

    def unlock(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def is_lost(ledger: Ledger) -> bool:
    """Tell whether there are changes beside a ledger that is not there: it is made before the first of them."""
    return not os.path.exists(ledger.path) and bool(changes_of(ledger))


def lost(ledger: Ledger) -> NeedsPersonError:
    """Say that it is."""
    kept = len(changes_of(ledger))
    return NeedsPersonError(
        f"The ledger {os.fsdecode(ledger.path)} is not there, but {kept} changes are kept beside it.",
        state=f"Nothing was changed; the pre-images under {os.fsdecode(ledger.state)} are untouched.",
        next="backout recover",
    )


def changes_of(ledger: Ledger) -> set[str]:
    """Name the changes of which something is kept beside a ledger."""
    folder = ledger.state + b"/changes"
    return {os.fsdecode(name) for name in os.listdir(folder)} if os.path.isdir(folder) else set()


def _newer(document: Any, known: int) -> str:
    """Name the release that reads a line of a newer format than is known; empty for one that we read."""
    if not isinstance(document, dict) or not whole(document.get("format")) or document["format"] <= known:
        return ""
    body = document.get("body")
    release = body.get("release") if isinstance(body, dict) else None
    return release if text(release) and release else "of a newer release"


def make_state(state: bytes) -> None:
    """Make the state folder, or say clearly why it cannot be."""
    try:
        make_private(state)
        _require_writable(state)
        _close_to_others(state)
    except OSError as error:
        raise _unusable(state, error) from error


def _unusable(state: bytes, error: OSError) -> NotPossibleError:
    return NotPossibleError(
        f"The state folder {os.fsdecode(state)} cannot be used: {error.strerror}.",
        next="Make it writable, or name another with BACKOUT_STATE.",
    )


def _require_writable(state: bytes) -> None:
    if not os.access(state, os.W_OK | os.X_OK):
        number = errno.EROFS if os.statvfs(state).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(number, os.strerror(number), state)


def _close_to_others(state: bytes) -> None:
    """Take away what others may read or do in a state folder of ours: it holds what files were before."""
    status = os.stat(state)
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:
        os.chmod(state, status.st_mode & 0o700)


def _whole_length(descriptor: int) -> int:
    """Tell where the last whole line ends."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    tail = os.pread(descriptor, min(end, 1 << 20), max(0, end - (1 << 20)))
    return max(0, end - (1 << 20)) + tail.rfind(b"\n") + 1
