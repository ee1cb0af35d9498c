"""The journal in SQLite: one file in the user's state folder."""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backout.model import shape
from backout.model.chain import GENESIS, link_hash
from backout.model.digest import canonical
from backout.store.faults import damaged, explained
from backout.store.journal import EVENT, LEDGER, Event, Found, Line, Result
from backout.store.opening import WAITS_S, connect, connect_to_read
from backout.store.sending import is_sending, sending
from backout.store.words import text_of

_ALL = (
    "SELECT * FROM event WHERE seq > ?1 AND instr(body, ?2) > 0"
    " AND (?3 IS NULL OR json_extract(body, '$.kind') IN (SELECT value FROM json_each(?3))) ORDER BY seq"
)
_OF_TYPE = _ALL.replace("WHERE", "WHERE type = ?4 AND")
"""Apart, so that the index by type is used: who asks which incident is open must not wait for each note there is."""


class SqliteJournal:
    """A Journal (see there) in a SQLite file: WAL, synchronous=FULL, and BEGIN IMMEDIATE for every write.

    A plain BEGIN takes the write lock too late: of four writers, three then fail with "database is locked".
    """

    def __init__(
        self, path: Path, clock: Callable[[], float] = time.time, waits_s: float = WAITS_S, *, to_read: bool = False
    ) -> None:
        """Open it, made where there is none; for another process that writes it `waits_s` seconds.

        One that is only `to_read` needs no room on its disk.
        """
        self.path = path
        self._clock = clock
        with explained(path):
            self._database = connect_to_read(path) if to_read else connect(path, waits_s)

    def append(self, *, at: float, actor: str, type: str, body: Mapping[str, Any]) -> Event:
        """Add one event, durably."""
        with self._writing():
            return self._add(at, actor, type, dict(body), text_of(dict(body)))

    def append_unless(
        self,
        known: Callable[[Iterable[Event]], Result | None],
        *,
        at: float,
        actor: str,
        type: str,
        body: Mapping[str, Any],
    ) -> Event | Result:
        """Look under the lock, and add one event where nothing is known."""
        with self._writing():
            found = known(self.events(type=type))
            return self._add(at, actor, type, dict(body), text_of(dict(body))) if found is None else found

    def learn(self, entries: Iterable[Mapping[str, Any]]) -> int:
        """Copy the ledger entries that are not here yet; nothing is written where there are none."""
        told = [dict(entry) for entry in entries]
        with explained(self.path):
            fresh = [entry for entry in told if not self._knows(entry)]
        if not fresh:
            return 0
        with self._writing():
            # Looked up once more, under the lock: another process may have learned the same meanwhile.
            return sum(self._learn(entry) for entry in fresh if not self._knows(entry))

    def take_in(self, lines: Iterable[Line]) -> int:
        """Add what lay aside; looked up under the lock, so that no two take in the same."""
        with self._writing():
            known = self._taken_in()
            fresh = [line for line in lines if line.id not in known]
            for line in fresh:
                body = {**line.body, "aside": line.id}
                if line.about in known:
                    body["of"] = known[line.about]
                known[line.id] = self._add(line.at, line.actor, line.type, body, text_of(line.body)).seq
            return len(fresh)

    def events(
        self, after: int = 0, type: str | None = None, kinds: Collection[str] = (), holding: str = ""
    ) -> Iterator[Event]:
        """Walk the events whose seq is greater, of one type, of some kinds, holding a text, oldest first."""
        values = (after, holding, json.dumps([*kinds]) if kinds else None)
        rows = self._rows(_ALL, values) if type is None else self._rows(_OF_TYPE, (*values, type))
        return (self._event(row) for row in rows)

    def entries(self, change: str | None = None) -> list[dict[str, Any]]:
        """Give the learned ledger entries, of one change or of all."""
        rows = self._rows(
            "SELECT event.* FROM learned JOIN event ON event.seq = learned.event"
            " WHERE ? IS NULL OR learned.change = ? ORDER BY event.seq",
            (change, change),
        )
        return [self._event(row).body for row in rows]

    def keep(self, contents: Iterable[bytes]) -> list[str]:
        """Keep contents, each once and all or none; nothing is written where all are here."""
        named = [(hashlib.sha256(content).hexdigest(), content) for content in contents]
        fresh = [(name, zlib.compress(content)) for name, content in named if not self._keeps(name)]
        if fresh:
            with self._writing():
                self._database.executemany("INSERT OR IGNORE INTO content VALUES (?, ?)", fresh)
        return [name for name, _ in named]

    def content(self, sha256: str) -> bytes | None:
        """Give a content that was kept, held against its name; None when it was not."""
        for (packed,) in self._rows("SELECT bytes FROM content WHERE sha256 = ?", (sha256,)):
            try:
                content = zlib.decompress(packed)
            except zlib.error:
                raise damaged(self.path, f"content {sha256} cannot be read") from None
            if hashlib.sha256(content).hexdigest() != sha256:
                raise damaged(self.path, f"content {sha256} is another one")
            return content
        return None

    def search(self, text: str, limit: int = 20, beside: Sequence[Event] = ()) -> Found:
        """Find what holds the words, or what answers a longer text best."""
        from backout.store.searching import Searching  # nobody else waits for its import

        with explained(self.path):
            return Searching(self._database, self._rows, self._event, beside, self._clock()).find(text, limit)

    def verify(self) -> None:
        """Check the pages of the file and the chain of the events."""
        for (problem,) in self._rows("PRAGMA quick_check(1)"):
            if problem != "ok":
                raise damaged(self.path, problem)
        prev = GENESIS
        for seq, event in enumerate(self.events(), start=1):
            if (event.seq, event.prev) != (seq, prev):
                raise damaged(self.path, f"event {seq} does not follow from the one before")
            prev = link_hash(event._asdict())

    def sending(self, wait_s: float) -> AbstractContextManager[bool]:
        """Hold the lock on a file beside the journal."""
        return sending(self.path, wait_s)

    def is_sending(self) -> bool:
        """Look at that lock."""
        return is_sending(self.path)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the write lock; what is done under it is durable afterwards, or did not happen."""
        with explained(self.path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _add(self, at: float, actor: str, type: str, body: dict[str, Any], text: str) -> Event:
        last = self._database.execute("SELECT * FROM event ORDER BY seq DESC LIMIT 1").fetchone()
        seq, prev = (last[0] + 1, link_hash(self._event(last)._asdict())) if last else (1, GENESIS)
        event = Event(seq, prev, float(at), float(self._clock()), actor, type, body)
        row = (*event[:-1], canonical(body).decode())
        self._database.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        if text:
            self._database.execute("INSERT INTO word (rowid, text) VALUES (?, ?)", (seq, text))
        return event

    def _learn(self, entry: dict[str, Any]) -> bool:
        words_of_it = text_of(entry["body"])
        text = f"{entry['host']} {entry['change']} {words_of_it}" if words_of_it else ""
        event = self._add(entry["at"], entry["host"], LEDGER, entry, text)
        self._database.execute("INSERT INTO learned VALUES (?, ?, ?, ?)", (*_key(entry), event.seq))
        return True

    def _taken_in(self) -> dict[str, int]:
        """Give the events that lay aside once, by their ids."""
        rows = self._database.execute('SELECT * FROM event WHERE instr(body, \'"aside":"\')').fetchall()
        return {event.body["aside"]: event.seq for event in map(self._event, rows) if "aside" in event.body}

    def _knows(self, entry: Mapping[str, Any]) -> bool:
        known = "SELECT 1 FROM learned WHERE host = ? AND change = ? AND seq = ?"
        return self._database.execute(known, _key(entry)).fetchone() is not None

    def _keeps(self, sha256: str) -> bool:
        return next(self._rows("SELECT 1 FROM content WHERE sha256 = ?", (sha256,)), None) is not None

    def _event(self, row: tuple[Any, ...]) -> Event:
        try:
            event = Event._make((*row[:-1], shape.load(row[-1])))
        except (ValueError, TypeError, AttributeError):
            raise damaged(self.path, f"event {row[0]} cannot be read") from None
        if not EVENT(event._asdict()):
            raise damaged(self.path, f"event {row[0]} is none")
        return event

    def _rows(self, statement: str, values: tuple[Any, ...] = ()) -> Iterator[Any]:
        with explained(self.path):
            # Not `yield from`, which would close the cursor, too, of a database that is closed by then.
            for row in self._database.execute(statement, values):  # noqa: UP028
                yield row


def _key(entry: Mapping[str, Any]) -> tuple[str, str, int]:
    return entry["host"], entry["change"], entry["seq"]
