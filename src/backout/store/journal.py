"""What every journal promises, whichever database keeps it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, TypeVar

from backout.errors import FailedError
from backout.model import shape

Result = TypeVar("Result")
LEDGER = "ledger"
"""The type of an event that was learned from a host's ledger: its body is the entry as it stood there."""


class StoreError(FailedError):
    """The journal cannot be read or written. No host was touched by that (1)."""


class CorruptStoreError(StoreError):
    """The journal is damaged; a person has to move it away, and then it is rebuilt from the ledgers (5)."""

    exit_code = 5


class Event(NamedTuple):
    """One row of the journal. It is never changed or erased (law 6).

    `seq` counts from 1; `prev` is the hash of the event before. `at` is when it happened, `recorded_at` when the
    journal heard of it, both in seconds since the epoch, UTC. `actor` is who did it, or the host that told of it.
    """

    seq: int
    prev: str
    at: float
    recorded_at: float
    actor: str
    type: str
    body: dict[str, Any]


EVENT = shape.fields(
    {
        "seq": lambda value: shape.whole(value) and value < 1 << 62,
        **dict.fromkeys(("prev", "actor", "type"), shape.text),
        **dict.fromkeys(("at", "recorded_at"), shape.number),
        "body": shape.mapping(shape.anything),
    }
)
"""What a row must be like, its body read."""


class Line(NamedTuple):
    """An event that lies aside. `about` is the id of the one that its body's `of` names, where that lies aside, too.

    `contents` are those that its body names, by their SHA-256.
    """

    id: str
    at: float
    recorded_at: float
    actor: str
    type: str
    body: dict[str, Any]
    about: str = ""
    contents: Mapping[str, bytes] = {}


class Hit(NamedTuple):
    """An event that a search found, and the words around what matched."""

    event: Event
    excerpt: str


class Found(NamedTuple):
    """What a search found, best first; where nothing holds all the words, those that were probably meant."""

    hits: tuple[Hit, ...]
    did_you_mean: str | None = None


class Journal(Protocol):
    """An append-only, hash-chained record. Used by one thread; any number of processes may have it open.

    Every write is durable when the call returns, or did not happen. Everything may raise a StoreError.
    """

    def __hash__(self) -> int:
        """Tell one journal from another, so that what was read of it can be remembered."""

    def append(self, *, at: float, actor: str, type: str, body: Mapping[str, Any]) -> Event:
        """Add one event and give it as it was recorded. The body is a JSON object without secrets."""

    def append_unless(
        self,
        known: Callable[[Iterable[Event]], Result | None],
        *,
        at: float,
        actor: str,
        type: str,
        body: Mapping[str, Any],
    ) -> Event | Result:
        """Add one event, unless `known` finds something in the events of its type; gives the event, or what was found.

        It looks and writes in one: of any number of processes that ask at the same time one adds its event.
        """

    def learn(self, entries: Iterable[Mapping[str, Any]]) -> int:
        """Copy the ledger entries that are not here yet, all or none, in the order given; give their number.

        An entry is known by its host, change and seq.
        """

    def take_in(self, lines: Iterable[Line]) -> int:
        """Add what lay aside (see backout.store.aside), all or none, each once however often it is told.

        Gives the number of those that were new. The body of each then has its id as `aside`.
        """

    def events(
        self, after: int = 0, type: str | None = None, kinds: Collection[str] = (), holding: str = ""
    ) -> Iterator[Event]:
        """Walk the events whose seq is greater, of one type or of all, oldest first.

        With `kinds` only those whose body says that it is of one of these, and with `holding`, such as the id of an
        incident, only those that have it somewhere in their body: what is not asked for is not read.
        """

    def entries(self, change: str | None = None) -> list[dict[str, Any]]:
        """Give the learned ledger entries, of one change or of all, in the order in which they were learned."""

    def keep(self, contents: Iterable[bytes]) -> list[str]:
        """Keep contents, each once and all or none; give their SHA-256 in hex, by which events name them."""

    def content(self, sha256: str) -> bytes | None:
        """Give a content that was kept; None when it was not."""

    def search(self, text: str, limit: int = 20, beside: Sequence[Event] = ()) -> Found:
        """Find the events that hold all of a few words, the last of which may be only begun.

        Where none does, and for a longer text (a log, a traceback), those that answer it best, by `model.ranking`. What
        lies `beside` is searched along with what is stored: events that the journal does not hold.
        """

    def verify(self) -> None:
        """Check the whole record, hash by hash; a CorruptStoreError names the first event that is not as recorded."""

    def sending(self, wait_s: float) -> AbstractContextManager[bool]:
        """Be the one who sends what the record says is to go out; gives whether nobody else was, after so long.

        The kernel lets go of it when the process dies, however it does.
        """

    def is_sending(self) -> bool:
        """Tell whether somebody sends at this moment."""

    def close(self) -> None:
        """Let go of the database."""
