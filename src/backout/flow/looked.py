"""Looks in the journal: facts stored once by content, and which look was when."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from backout.errors import FailedError
from backout.model.fact import Fact, Pair
from backout.model.parts import cut, differing, read
from backout.store.journal import Event, Journal

LOOK = "look"
"""The type of an event that tells of a look."""


class Look(NamedTuple):
    """A stored look. `at` is when it was, in seconds since the epoch, UTC; `body` is the event's."""

    at: float
    host: str
    environment: str | None
    body: dict[str, Any]
    parts: tuple[str, ...]


def keep_facts(journal: Journal, facts: Iterable[Fact]) -> str:
    """Keep facts, given in their order; gives the name of the list of their parts. Holds a part at a time."""
    names = [journal.keep([part])[0] for part in cut(facts)]
    return journal.keep([json.dumps(names).encode()])[0]


def looks(journal: Journal) -> Iterator[Look]:
    """Walk all stored looks, oldest first."""
    return (look_of(journal, event) for event in journal.events() if event.type == LOOK)


def look_of(journal: Journal, event: Event) -> Look:
    """Read the event of a look."""
    names = tuple(json.loads(content(journal, event.body["parts"])))
    return Look(event.at, event.body["host"], event.body.get("environment"), event.body, names)


def facts(journal: Journal, look: Look) -> Iterator[Fact]:
    """Walk a look's facts, in their order."""
    return (fact for name in look.parts for fact in read(content(journal, name)))


def compared(journal: Journal, here: Look, there: Look) -> Iterator[Pair]:
    """Walk what is not the same in two looks."""
    return differing(here.parts, there.parts, lambda name: content(journal, name))


def content(journal: Journal, name: str) -> bytes:
    """Give a content that an event names; a FailedError when the journal has lost it."""
    found = journal.content(name)
    if found is None:
        raise FailedError(f"The journal has no content {name[:12]}…, which a look names.", next="Look once more.")
    return found
