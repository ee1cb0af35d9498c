"""Looks in the journal: facts stored once by content, and which look was when."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from backout.errors import FailedError
from backout.model.fact import Fact, Pair
from backout.model.parts import Cutting, differing, read
from backout.store.journal import Event, Journal

LOOK = "look"
"""The type of an event that tells of a look."""
_PARTS_A_WRITE = 64


class Look(NamedTuple):
    """A stored look. `at` is when it was, in seconds since the epoch, UTC; `body` is the event's."""

    at: float
    host: str
    environment: str | None
    body: dict[str, Any]
    parts: tuple[str, ...]
    seq: int = 0
    """The event's; 0 of a look that is not kept."""


class Keeping:
    """Keeps facts that come in their order. Holds some parts at a time: each write to the disk is waited for."""

    def __init__(self, journal: Journal) -> None:
        """Keep them in this journal."""
        self._journal, self._cutting = journal, Cutting()
        self._names: list[str] = []
        self._parts: list[bytes] = []

    def take(self, facts: Iterable[Fact]) -> None:
        """Keep some more."""
        self._parts += filter(None, map(self._cutting.add, facts))
        if len(self._parts) >= _PARTS_A_WRITE:
            self._write()

    def parts(self) -> tuple[str, ...]:
        """Give the names of all parts; there are no more facts."""
        self._parts += filter(None, [self._cutting.rest()])
        self._write()
        return tuple(self._names)

    def end(self) -> str:
        """Give the name of the list of all parts."""
        return self._journal.keep([json.dumps(self.parts()).encode()])[0]

    def _write(self) -> None:
        self._names += self._journal.keep(self._parts)
        self._parts = []


def keep_facts(journal: Journal, facts: Iterable[Fact]) -> str:
    """Keep facts, given in their order; gives the name of the list of their parts. Holds some parts at a time."""
    keeping = Keeping(journal)
    for fact in facts:
        keeping.take([fact])
    return keeping.end()


def looks(journal: Journal) -> Iterator[Look]:
    """Walk all stored looks, oldest first."""
    return (look_of(journal, event) for event in journal.events(type=LOOK))


def newest(journal: Journal, host: str, environment: str | None) -> Look | None:
    """Give the newest look at a host of an environment; None when there is none yet."""
    found = [e for e in journal.events(type=LOOK) if (e.body["host"], e.body.get("environment")) == (host, environment)]
    return look_of(journal, found[-1]) if found else None


def look_of(journal: Journal, event: Event) -> Look:
    """Read the event of a look."""
    names = tuple(json.loads(content(journal, event.body["parts"])))
    return Look(event.at, event.body["host"], event.body.get("environment"), event.body, names, event.seq)


def facts(journal: Journal, look: Look) -> Iterator[Fact]:
    """Walk a look's facts, in their order."""
    return (fact for name in look.parts for fact in _part(journal, name))


@lru_cache(maxsize=16)
def _part(journal: Journal, name: str) -> list[Fact]:
    """Read a part; hosts that are alike have the same ones, and are walked one after another."""
    return read(content(journal, name))


def heads(journal: Journal, look: Look) -> Iterator[Fact]:
    """Walk the facts that come before files, which are most of them."""
    return itertools.takewhile(lambda fact: fact.kind != "file", facts(journal, look))


def compared(journal: Journal, here: Look, there: Look) -> Iterator[Pair]:
    """Walk what is not the same in two looks."""
    return differing(here.parts, there.parts, lambda name: content(journal, name))


def content(journal: Journal, name: str) -> bytes:
    """Give a content that an event names; a FailedError when the journal has lost it."""
    found = journal.content(name)
    if found is None:
        raise FailedError(f"The journal has no content {name[:12]}…, which a look names.", next="Look once more.")
    return found
