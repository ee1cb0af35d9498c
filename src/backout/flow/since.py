"""When two hosts began to differ, from stored looks, and what did it: a change of backout's, or drift."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from backout.errors import BackoutError
from backout.flow.compare import Side, Since
from backout.flow.fleet import Fleet
from backout.flow.instant import instant, instant_if_known
from backout.flow.looked import LOOK, Look, compared, heads, look_of
from backout.model.agreement import Row
from backout.model.effect import Effect, effect_from
from backout.model.fact import Fact
from backout.model.ledger import KEPT, UNDONE
from backout.model.parity import comparable, names
from backout.store.journal import Event, Journal

Key = tuple[str, str]
_NO_FACT = Fact("file", "", "")
EffectsOf = Callable[[str], list[Effect] | None]
"""Gives the effects of a change; None where they are not known."""


class Move(NamedTuple):
    """A subject that moved on a host between two looks at it; what it was before and after, to be compared."""

    host: str
    earlier: Look
    later: Look
    before: Any
    after: Any


class History:
    """The stored looks at hosts; each host's are walked back once, and only what moved is kept."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._events: dict[tuple[str, str], list[Event]] = {}
        for event in journal.events(type=LOOK):
            key = (event.body.get("environment") or "", event.body["host"])
            self._events.setdefault(key, []).append(event)
        self._moves: dict[tuple[str, str], dict[Key, list[Move]]] = {}

    def oldest(self, environment: str, host: str) -> float | None:
        """Tell when a host was looked at first."""
        events = self._events.get((environment, host), [])
        return events[0].at if events else None

    def moves(self, environment: str, host: str) -> dict[Key, list[Move]]:
        """Give what moved on a host, newest first, by subject."""
        key = (environment, host)
        if key not in self._moves:
            found: dict[Key, list[Move]] = {}
            for move, subject in self._walk(environment, host):
                found.setdefault(subject, []).append(move)
            self._moves[key] = found
        return self._moves[key]

    def _walk(self, environment: str, host: str) -> Iterator[tuple[Move, Key]]:
        later: Look | None = None
        for event in reversed(self._events.get((environment, host), [])):
            earlier = look_of(self._journal, event)
            if later is not None:
                known = [names(heads(self._journal, look)) for look in (earlier, later)]
                for before, after in compared(self._journal, earlier, later):
                    kind, subject = (before if before is not None else after or _NO_FACT)[:2]
                    was, became = comparable(before, known[0]), comparable(after, known[1])
                    yield Move(host, earlier, later, was, became), (kind, subject)
            later = earlier


def began(history: History, row: Row, one: tuple[str, str], other: tuple[str, str]) -> Move | None:
    """Find the move with which two hosts (environment, name) began to differ; None where looks do not reach."""
    subject = row.difference[:2]
    states = [row.difference.here, row.difference.there]
    moves = [(at, move) for at, host in enumerate((one, other)) for move in history.moves(*host).get(subject, [])]
    for at, move in sorted(moves, key=lambda found: -found[1].later.at):
        states[at] = move.before
        if states[0] == states[1]:
            return move
    return None


def cause(journal: Journal, move: Move, row: Row, effects_of: EffectsOf) -> dict[str, Any]:
    """Tell what moved it: {change, sure}, or a change of None for drift.

    `sure` is false where the effects of the changes of that time are not known any more.
    """
    changes = _changes(journal, move)
    unknown = []
    for change in changes:
        effects = effects_of(change)
        if effects is None:
            unknown.append(change)
        elif any(is_about(effect, *row.difference[:2]) for effect in effects):
            return {"change": change, "sure": True}
    return {"change": unknown[-1] if unknown else None, "sure": not unknown}


def _changes(journal: Journal, move: Move) -> list[str]:
    """Name the changes that a host's ledger kept between the two looks, newest first."""
    first, last = move.earlier.body["ledger_seq"], move.later.body["ledger_seq"]
    entries = journal.entries() if last > first else []
    newest = move.later.body["newest_change"]
    machines = {entry["host"] for entry in entries if (entry["seq"], entry["change"]) == (last, newest)}
    between = [entry for entry in entries if entry["host"] in machines and first < entry["seq"] <= last]
    return list(dict.fromkeys(entry["change"] for entry in reversed(between) if entry["kind"] in (KEPT, UNDONE)))


def is_about(effect: Effect, kind: str, subject: str) -> bool:
    """Tell whether an effect is about a fact: the same subject, or the file that it is in."""
    if (effect.kind, effect.subject) == (kind, subject):
        return True
    path = subject.partition("#")[0] if kind == "config" else subject
    if effect.kind == "config" and kind == "file":
        return effect.subject.partition("#")[0] == subject
    return kind in ("file", "config", "certificate") and effect.kind == "file" and effect.subject == path


def teller(journal: Journal, known: Sequence[Side], fleets: Mapping[str, Fleet]) -> Since:
    """Give what tells since when a difference is there; the fleets' hosts are asked what their changes did."""
    history = History(journal)

    def tell(row: Row) -> dict[str, Any]:
        one, other = _two(row, known)
        move = began(history, row, one, other)
        if move is None:
            oldest = [history.oldest(*host) for host in (one, other)]
            reach = None if None in oldest else max(at for at in oldest if at is not None)
            return {"host": None, "after": None, "before": instant_if_known(reach), **_NOBODY}
        told = {"host": move.host, "after": instant(move.earlier.at), "before": instant(move.later.at)}
        fleet = fleets.get(move.later.environment or "")
        return {**told, **cause(journal, move, row, lambda change: effects_of(journal, fleet, move.host, change))}

    return tell


_NOBODY = {"change": None, "sure": False}


def _two(row: Row, known: Sequence[Side]) -> tuple[tuple[str, str], tuple[str, str]]:
    """Choose two hosts between which the difference is: environment and name of each."""
    here, there = known
    if row.within is not None:
        return (row.within, row.usual[0]), (row.within, row.hosts[0])
    return (here.environment.name, row.usual[0]), (there.environment.name, row.hosts[0])


def effects_of(journal: Journal, fleet: Fleet | None, host: str, change: str) -> list[Effect] | None:
    """Ask a host what a change did; None where it is not reached, or knows no more. A back-out moved what it undid."""
    bodies = [entry["body"] for entry in journal.entries(change)]
    undone = next((body["undoes"] for body in bodies if "undoes" in body), change)
    if fleet is None or host not in fleet.reached:
        return None
    (answer,) = fleet.each(lambda session: session.link.ask("show", change=undone)["document"], [host]).values()
    return None if isinstance(answer, BackoutError) else [effect_from(effect) for effect in answer["effects"]]
