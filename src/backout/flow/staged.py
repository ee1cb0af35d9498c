"""A change's effects beside those of the same command where it was tried, and what a guard is told of that.

What is known of the other environment is its hosts' own record; of a host that is not reached, what this journal has.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from backout.errors import BackoutError
from backout.flow.documents import Documents
from backout.flow.fleet import Fleet
from backout.flow.instant import instant
from backout.flow.rehearse import Measured
from backout.flow.session import Session
from backout.model.check import AFTER, UNHEALTHY
from backout.model.effect import Effect, effect_from
from backout.model.ledger import KEPT, REFUSED, UNDONE, entry_from, fold, has_effects
from backout.model.redact import MASK
from backout.model.selector import Rule
from backout.model.staging import Staging, exception, key, sort
from backout.store.journal import LEDGER, Journal

LIMIT_S = 60.0
"""How long a host of the other environment may take to tell what it did."""


class Twin(NamedTuple):
    """The environment that `environment` should be like. `open` reaches its hosts.

    `judged` tells whether a guard wants to know what is in place there.
    """

    name: str
    environment: str
    differs: tuple[Rule, ...]
    judged: bool
    open: Callable[[], AbstractContextManager[tuple[Fleet, Any]]]


class _Record(NamedTuple):
    """What one host of the twin has: the newest change of the command, and the keys that no sound change of it has."""

    host: str
    as_of: float | None
    like: dict[str, Any] | None
    missing: frozenset[bytes]


class _Question(NamedTuple):
    """What is asked of each host: about a command, and about the keys of effects that a guard wants in place there."""

    twin: Twin
    command: list[str]
    needed: frozenset[bytes]


def held_against(twin: Twin, journal: Journal, measured: Sequence[Measured]) -> dict[str, Staging]:
    """Hold rehearsals of one command, on as many hosts, against the twin's record, which is asked for once.

    Their documents say then how they differ (`compared`, limits). Gives what is known of the twin, by digest.
    """
    alike = {one.document["digest"]: one.document for one in measured}  # 50 hosts that are alike are judged once
    selectors = [rule.what for rule in twin.differs]
    needed = (
        key(effect)
        for document in (alike.values() if twin.judged else ())
        for effect in map(effect_from, document["effects"])
        if exception(effect, selectors) is None
    )
    question = _Question(twin, measured[0].document["command"], frozenset(needed))
    records, unreached = _records(question, journal)
    limits = [_limit(twin, error, records) for error in unreached]
    said = _Said(twin, records, bool(unreached), limits)
    found = {digest: _compared(said, journal, document) for digest, document in alike.items()}
    for one in measured:
        compared, _ = found[one.document["digest"]]
        one.document.update(compared=compared, limits=[*one.document["limits"], *limits])
    return {digest: staging for digest, (_, staging) in found.items()}


def in_place(
    twin: Twin, effects: Sequence[Effect], hosts: Mapping[str, Sequence[dict[str, Any]]], documents: Documents
) -> Staging | None:
    """Tell which effects the twin's hosts had in place, from their changes as they stood at some time.

    None where that cannot be told: it is not known what a sound change of theirs did.
    """
    selectors = [rule.what for rule in twin.differs]
    needed = frozenset(key(effect) for effect in effects if exception(effect, selectors) is None)
    question = _Question(twin, [], needed)
    records = [_record(question, host, changes, documents) for host, changes in hosts.items()]
    found = sort(effects, selectors, frozenset[bytes]().union(*(record.missing for record in records)))
    sound = [(host, c["id"]) for host, changes in hosts.items() for c in changes if _is_of(c, twin) and _is_sound(c)]
    if found.remainder and any(documents.of(*change) is None for change in sound):
        return None
    return Staging(twin.name, found, is_known=bool(records))


class _Said(NamedTuple):
    twin: Twin
    records: list[_Record]
    partly: bool
    limits: list[str]


def _records(question: _Question, journal: Journal) -> tuple[list[_Record], list[BackoutError]]:
    """Ask every host, and the journal about those that did not answer; give why, too."""
    with question.twin.open() as (fleet, _):
        answers = fleet.each(lambda session: _asked(session, question), limit_s=LIMIT_S)
        unreached = [*fleet.failed.values(), *(a for a in answers.values() if isinstance(a, BackoutError))]
        records = [answer for answer in answers.values() if isinstance(answer, _Record)]
    if unreached:
        documents, told = Documents(journal), {record.host for record in records}
        for host, as_of, changes in _remembered(journal, question.twin.name):
            if host not in told:
                records.append(_record(question, host, changes, documents)._replace(as_of=as_of))
    return records, unreached


def _asked(session: Session, question: _Question) -> _Record:
    """Ask one host, in its thread and with its journal, which learns the effects that it lacks."""
    assert session.journal is not None  # noqa: S101 - a fleet opens one beside each host
    changes, documents = session.changes(), Documents(session.journal)
    host = changes[-1]["host"] if changes else session.link.ask("hello")["host"]
    return _record(question, host, changes, documents, session)


def _remembered(journal: Journal, environment: str) -> Iterator[tuple[str, float, list[dict[str, Any]]]]:
    """Walk the hosts that the journal knows in an environment: name, when it last heard of it, changes."""
    entries: dict[str, list[dict[str, Any]]] = {}
    heard: dict[str, float] = {}
    for event in journal.events(type=LEDGER):
        entries.setdefault(event.body["host"], []).append(event.body)
        heard[event.body["host"]] = event.recorded_at
    for host, rows in entries.items():
        if any(row["body"].get("environment") == environment for row in rows):
            changes = fold(map(entry_from, sorted(rows, key=lambda row: int(row["seq"]))))
            yield host, heard[host], [change._asdict() for change in changes]


def _record(
    question: _Question,
    host: str,
    changes: Sequence[dict[str, Any]],
    documents: Documents,
    session: Session | None = None,
) -> _Record:
    """Look through a host's changes, newest first; only as far as is needed."""
    own = [change for change in reversed(changes) if _is_of(change, question.twin)]
    alike = (change for change in own if change["body"].get("command") == question.command)
    like = next((change for change in alike if documents.of(host, change["id"], session) is not None), None)
    missing = set(question.needed)
    for change in filter(_is_sound, own):
        if not missing:
            break
        missing.difference_update(map(key, documents.of(host, change["id"], session) or ()))
    return _Record(host, None, like, frozenset(missing))


def _is_of(change: dict[str, Any], twin: Twin) -> bool:
    """Tell whether a change has effects of its own, and is no change of the environment that is compared."""
    body = change["body"]
    own = body.get("environment") != twin.environment
    return own and has_effects(body) and change["state"] in (KEPT, UNDONE, REFUSED)


def _is_sound(change: dict[str, Any]) -> bool:
    """Tell whether a change is in place, and no check was unhealthy when it was kept."""
    body = change["body"]
    unwell = any(r["where"] == AFTER and r["result"] == UNHEALTHY for r in body.get("results", ()))
    in_place = change["state"] == KEPT and change["undone_by"] is None
    return in_place and not unwell and not body.get("stuck") and not body.get("failed")


def _compared(said: _Said, journal: Journal, document: dict[str, Any]) -> tuple[dict[str, Any], Staging]:
    """Give how one rehearsal differs from what the newest change of the command did there, and what is in place."""
    twin = said.twin
    missing = frozenset[bytes]().union(*(record.missing for record in said.records))
    found = sort(map(effect_from, document["effects"]), [rule.what for rule in twin.differs], missing)
    excepted = Counter(at for at, _ in found.excepted)
    alike = [(record, record.like) for record in said.records if record.like is not None]
    record, like = max(alike, key=lambda pair: float(pair[1]["at"]), default=(None, None))
    line = _line(twin, document["command"])
    compared: dict[str, Any] = {
        "environment": twin.name,
        "change": like and like["id"],
        "at": like and instant(like["at"]),
        "state": like and _state(like),
        "reached": not said.partly,
        "as_of": record and record.as_of and instant(record.as_of),
        "there": {},
        "here": dict(Counter(row["kind"] for row in document["effects"])),
        "only_here": [],
        "only_there": [],
        "excepted": [
            {"what": str(twin.differs[at].what), "why": twin.differs[at].why, "count": excepted[at]}
            for at in sorted(excepted)
        ],
        "next": line,
    }
    if record is not None and like is not None:
        theirs = Documents(journal).of(record.host, like["id"]) or ()
        compared.update(_both_ways([*found.covered, *found.remainder], theirs, twin))
    return compared, Staging(twin.name, found, " ".join(said.limits), _advice(twin, like, line), bool(said.records))


def _both_ways(ours: list[Effect], theirs: Iterable[Effect], twin: Twin) -> dict[str, Any]:
    """Name what is only here, surprises first and files last, and what is only there, which is walked, never held."""
    selectors = [rule.what for rule in twin.differs]
    here = {key(effect): effect for effect in ours}
    only_here, counts = dict(here), Counter[str]()
    only_there = []
    for effect in theirs:
        counts[effect.kind] += 1
        name = key(effect)
        only_here.pop(name, None)
        if name not in here and exception(effect, selectors) is None:
            only_there.append(_row(effect))
    ordered = sorted(only_here.values(), key=lambda effect: (effect.expected is not False, effect.kind == "file"))
    return {"there": dict(counts), "only_here": [*map(_row, ordered)], "only_there": only_there}


def _row(effect: Effect) -> dict[str, Any]:
    return {"kind": effect.kind, "subject": effect.subject, "before": effect.before, "after": effect.after}


def _state(change: dict[str, Any]) -> str:
    """Say where a change stands, in the words of the record."""
    if change["state"] == UNDONE:
        return "backed out"
    return "undone" if change["undone_by"] else str(change["state"])


def _limit(twin: Twin, error: BackoutError, records: list[_Record]) -> str:
    """Say that a host did not tell, and how old what is said of it is."""
    heard = [record.as_of for record in records if record.as_of is not None]
    told = "this journal knows nothing of it."
    if heard:
        told = f"what is said of it is as of {instant(min(heard))[:16].replace('T', ' ')} UTC."
    return f"A host of {twin.name} was not reached, and {told} {error.what.rstrip('.')}."


def _line(twin: Twin, command: list[str]) -> str:
    """Give the line that does the same on the twin; in words where the record does not have all of it."""
    if any(MASK in word for word in command):
        return f"The same command line with -e {twin.name}"
    if command[:2] == ["backout", "edit"]:
        return f"On a host of {twin.name}: {shlex.join(command)}"
    return f"backout run -e {shlex.quote(twin.name)} -- {shlex.join(command)}"


def _advice(twin: Twin, like: dict[str, Any] | None, line: str) -> str:
    """Say what lets a guard be content: the run on the twin; where that stands already, it did something else there."""
    if like is None or not _is_sound(like):
        return line
    return (
        f"Bring {twin.name} to where this one is, and run it there; what is meant to differ goes under differs. "
        f"backout compare {shlex.quote(twin.name)} {shlex.quote(twin.environment)}"
    )
