"""What the journal cannot take lies aside, in a file, until it can: a full disk or a damaged file loses no note.

One JSON line an event, each with an id of its own. The next command that opens the journal takes them in, each once,
and removes the file. The format is told in FORMATS.md.
"""

from __future__ import annotations

import base64
import binascii
import errno
import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from backout.errors import BackoutError
from backout.model import shape
from backout.model.digest import canonical
from backout.store.journal import EVENT, Event, Found, Journal, Line, Result, StoreError

NUMBERED_FROM = 1 << 61
"""The seq of events that lie aside, as long as they do: no journal comes so far."""
FORMAT = 1
_MOST_BYTES = 1 << 27
_LINE = shape.fields(
    {
        "format": lambda value: value == FORMAT,
        "id": shape.name,
        "at": shape.number,
        "recorded_at": shape.number,
        **dict.fromkeys(("actor", "type"), shape.text),
        "body": shape.mapping(shape.anything),
        "about": shape.name,
        "contents": shape.mapping(shape.base64),
    },
    optional=("about", "contents"),
)
"""What a line must be like."""


class Aside:
    """The files in which one user's events for one journal may lie aside: one a folder, in the first that takes them.

    The journal's own folder comes first; the others are `$XDG_RUNTIME_DIR`, `/dev/shm` and `/tmp`, which are on other
    file systems, or need no disk.
    """

    def __init__(self, journal: Path, environ: Mapping[str, str]) -> None:
        """Name the files; nothing is opened."""
        mark = hashlib.sha256(os.fsencode(journal)).hexdigest()[:8]
        runtime = environ.get("XDG_RUNTIME_DIR", "")
        own = (os.fspath(journal.parent), *([runtime] if runtime.startswith("/") else ()))
        shared = ("/dev/shm", "/tmp")  # noqa: S108 - what others may have laid there is refused
        name = f"backout-{os.getuid()}-{mark}.aside"
        self.paths = tuple(os.path.join(folder, name) for folder in (*own, *shared))

    def keep(self, line: Line) -> str:
        """Add a line, durably; gives the path. An OSError where no folder takes it."""
        packed: dict[str, Any] = {"format": FORMAT, **line._asdict()}
        packed["contents"] = {name: base64.b64encode(data).decode() for name, data in line.contents.items()}
        written = json.dumps({key: value for key, value in packed.items() if value not in ("", {})}).encode() + b"\n"
        problem = OSError("no folder takes it")
        for path in self.paths:
            try:
                with _locked(path, create=True) as file:
                    _append(file, written)
                    _settle(os.path.dirname(path))
            except OSError as error:
                problem = error
            else:
                return path
        raise problem

    def lines(self) -> list[Line]:
        """Give what lies aside, in the order in which it was written; lines that cannot be read are passed over."""
        found: list[Line] = []
        for path in self.paths:
            with suppress(OSError), _locked(path) as file:
                found += _read(file)[0]
        return sorted(found, key=lambda line: line.recorded_at)

    def into(self, journal: Journal) -> int:
        """Let a journal take in all that lies aside, and remove the files; gives the number of events that were new.

        Killed in between, it is done again: an event that the journal has is known by its id. What cannot be read stays
        beside, under a name that ends in `.unread`. A StoreError leaves all as it is.
        """
        count = 0
        for path in self.paths:
            with suppress(OSError), _locked(path) as file:
                lines, is_whole = _read(file)
                for contents in (line.contents for line in lines if line.contents):
                    journal.keep(contents.values())
                count += journal.take_in(lines)
                os.unlink(path) if is_whole else os.rename(path, f"{path}.{time.time_ns()}.unread")
        return count


@contextmanager
def _locked(path: str, *, create: bool = False) -> Iterator[int]:
    """Open a file that is ours alone, and hold its lock; an OSError where it is not, or is not there."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    while True:
        file = os.open(path, flags, 0o600)
        try:
            _require_ours(file, path)
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_nlink:  # else it was taken in while we waited
                yield file
                return
        finally:
            os.close(file)


def _require_ours(file: int, path: str) -> None:
    """Refuse what another user laid there: folders that all may write to hold anything."""
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077 or found.st_nlink > 1:
        raise PermissionError(f"{path} is not ours alone")


def _append(file: int, line: bytes) -> None:
    """Add a line, all of it or nothing; one that a crash cut short ends before it."""
    size = os.fstat(file).st_size
    torn = size and os.pread(file, 1, size - 1) != b"\n"
    data = b"\n" + line if torn else line
    is_whole = False
    try:
        is_whole = os.pwrite(file, data, size) == len(data)
        os.fsync(file)
    finally:
        if not is_whole:
            os.ftruncate(file, size)
    if not is_whole:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _settle(folder: str) -> None:
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read(file: int) -> tuple[list[Line], bool]:
    """Give the lines of a file, and whether that was all of it."""
    data = b""
    while (part := os.pread(file, _MOST_BYTES, len(data))) and len(data) < _MOST_BYTES:
        data += part
    rows = data.split(b"\n")
    lines = [line for row in rows if row and (line := _line(row)) is not None]
    return lines, len(lines) == sum(map(bool, rows))


def _line(row: bytes) -> Line | None:
    try:
        told = shape.load(row)
        if not _LINE(told):
            return None
        contents = {name: base64.b64decode(data) for name, data in told.pop("contents", {}).items()}
        del told["format"]
        return Line(**told, contents=contents)
    except (ValueError, TypeError, binascii.Error):
        return None


class KeepingJournal:
    """A Journal (see there) that takes whatever is appended: what the one behind it cannot take goes aside.

    Opening it never fails; once it failed, nothing more is written to it. What lies aside is read behind the rest,
    numbered from NUMBERED_FROM; of a journal that cannot be read it is all that is given. `complaints` says what went
    wrong, in words for a person, each once.
    """

    def __init__(
        self, opened: Callable[[], Journal], aside: Aside, to_read: Callable[[], Journal] | None = None
    ) -> None:
        """Open the journal, and let it take in what lies aside; where that fails, try to have it to read."""
        self.complaints: list[str] = []
        self._aside = aside
        self._pending: dict[str, bytes] = {}
        self._fails = False
        self._behind: Journal | None = self._try(opened)
        if self._behind is not None:
            with self._complaining():
                aside.into(self._behind)
        elif to_read is not None:
            with suppress(BackoutError):
                self._behind = to_read()

    def _try(self, opened: Callable[[], Journal]) -> Journal | None:
        try:
            return opened()
        except BackoutError as error:
            self._fail(error)
            return None

    @property
    def lays_aside(self) -> bool:
        """Tell whether what is appended goes aside by now."""
        return self._fails

    def append(self, *, at: float, actor: str, type: str, body: Mapping[str, Any]) -> Event:
        """Add one event, durably: to the journal, or aside. A StoreError only where nothing takes it."""
        if self._behind is not None and not self._fails:
            with self._complaining():
                return self._behind.append(at=at, actor=actor, type=type, body=body)
        return self._lay_aside(at, actor, type, dict(body))

    def append_unless(
        self,
        known: Callable[[Iterable[Event]], Result | None],
        *,
        at: float,
        actor: str,
        type: str,
        body: Mapping[str, Any],
    ) -> Event | Result:
        """Look, and add one event where nothing is known: in one where the journal takes it."""
        if self._behind is not None and not self._fails:
            with self._complaining():
                return self._behind.append_unless(known, at=at, actor=actor, type=type, body=body)
        found = known(self.events(type=type))
        return self._lay_aside(at, actor, type, dict(body)) if found is None else found

    def _lay_aside(self, at: float, actor: str, type: str, body: dict[str, Any]) -> Event:
        lies = self._aside.lines()
        number = body.get("of", 0)
        about = lies[number - NUMBERED_FROM].id if 0 <= number - NUMBERED_FROM < len(lies) else ""
        contents = {name: data for name, data in self._pending.items() if name in body.values()}
        line = Line(os.urandom(8).hex(), float(at), time.time(), actor, type, body, about, contents)
        try:
            path = self._aside.keep(line)
        except OSError as error:
            raise StoreError(
                f"It could be kept nowhere: {error.strerror or error}.",
                " ".join(self.complaints),
                "Write it down elsewhere, and make room.",
            ) from error
        self._complain(f"It is kept aside in {path}; the next command that can takes it into the journal.")
        return _event(line, len(lies))

    def events(
        self, after: int = 0, type: str | None = None, kinds: Collection[str] = (), holding: str = ""
    ) -> Iterator[Event]:
        """Walk the events as far as they can be read, then what lies aside."""
        if self._behind is not None:
            with self._complaining():
                yield from self._behind.events(after, type, kinds, holding)
        for at, line in enumerate(self._aside.lines()):
            is_one = (not kinds or line.body.get("kind") in kinds) and holding in canonical(line.body).decode()
            if is_one and type in (None, line.type) and NUMBERED_FROM + at > after:
                yield _event(line, at)

    def keep(self, contents: Iterable[bytes]) -> list[str]:
        """Keep contents; those that the journal cannot take go aside with the event that names them."""
        told = list(contents)
        if self._behind is not None and not self._fails:
            with self._complaining():
                return self._behind.keep(told)
        named = {hashlib.sha256(content).hexdigest(): content for content in told}
        self._pending |= named
        return list(named)

    def content(self, sha256: str) -> bytes | None:
        """Give a content, from wherever it is."""
        for line in self._aside.lines():
            if sha256 in line.contents:
                return line.contents[sha256]
        return self._pending.get(sha256) or self._there.content(sha256)

    def learn(self, entries: Iterable[Mapping[str, Any]]) -> int:
        """Copy ledger entries; what cannot be copied now can be later, from the ledgers."""
        if self._behind is not None and not self._fails:
            with self._complaining():
                return self._behind.learn(entries)
        return 0

    def entries(self, change: str | None = None) -> list[dict[str, Any]]:
        """Give the learned ledger entries."""
        if self._behind is not None:
            with self._complaining():
                return self._behind.entries(change)
        return []

    def take_in(self, lines: Iterable[Line]) -> int:
        """Take in what lay aside elsewhere."""
        return self._there.take_in(lines)

    def search(self, text: str, limit: int = 20, beside: Sequence[Event] = ()) -> Found:
        """Search the journal; what lies aside is not found."""
        if self._behind is not None:
            with self._complaining():
                return self._behind.search(text, limit, beside)
        return Found(())

    def sending(self, wait_s: float) -> AbstractContextManager[bool]:
        """Hold what only one who sends may hold; as the journal does."""
        return self._there.sending(wait_s)

    def is_sending(self) -> bool:
        """Tell whether somebody sends; as the journal does."""
        return self._there.is_sending()

    def verify(self) -> None:
        """Check the journal."""
        self._there.verify()

    def close(self) -> None:
        """Let go of the journal."""
        if self._behind is not None:
            self._behind.close()

    @property
    def _there(self) -> Journal:
        if self._behind is None:
            raise StoreError(self.complaints[0], next="backout doctor")
        return self._behind

    @contextmanager
    def _complaining(self) -> Iterator[None]:
        """Go on, and say so, where the journal fails."""
        try:
            yield
        except BackoutError as error:
            self._fail(error)

    def _fail(self, error: BackoutError) -> None:
        """Say why it fails; what fails after that, fails because of it."""
        if not self._fails:
            self._complain(" ".join(filter(None, (error.what, error.next))))
        self._fails = True

    def _complain(self, what: str) -> None:
        if what not in self.complaints:
            self.complaints.append(what)


def _event(line: Line, at: int) -> Event:
    event = Event(
        NUMBERED_FROM + at, "", line.at, line.recorded_at, line.actor, line.type, {**line.body, "aside": line.id}
    )
    if not EVENT(event._asdict()):
        raise StoreError("What lies aside cannot be read.")
    return event
