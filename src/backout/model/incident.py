"""Incidents: which are open, and where; what happened in each, in the order of its happening. Pure.

What an incident and its timeline hold follows the guides of PagerDuty, Google's SRE book and Netflix's Dispatch; the
words of the public status are Statuspage's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from backout.model import shape

INCIDENT = "incident"
"""The type of an event that tells where an incident stands."""
ENTRY = "entry"
"""The type of an event that is a line of a timeline."""
LEDGER = "ledger"
OPEN, RESOLVED = "open", "resolved"
BODY = shape.fields({"id": shape.text, "environment": shape.text, "state": shape.one_of(OPEN, RESOLVED)})
"""What the body of such an event must be like to open or to resolve one; it may say more."""

NOTE, HYPOTHESIS, DECISION, COMMAND, BACKUP = "note", "hypothesis", "decision", "command", "backup"
CHANGE, CHECK, NOTICE, DELIVERY = "change", "check", "notice", "delivery"
CLOCK, CORRECTION, PIN = "clock", "correction", "pin"
KINDS = (NOTE, COMMAND, BACKUP, CHANGE, CHECK, HYPOTHESIS, DECISION, NOTICE, DELIVERY, CLOCK, CORRECTION, PIN)
LINE = shape.fields({"incident": shape.text, "kind": shape.one_of(*KINDS), "text": shape.text})
"""What the body of an entry must be like; its kind says what more it holds."""

CLOCKS = ("impact_started", "detected", "declared", "first_notice", "mitigated", "resolved", "status_published")
DEFAULT_SEVERITY = 1
"""Unsure: take the higher; it can be lowered."""
RULED_OUT, CONFIRMED = "ruled out", "confirmed"


class Row(NamedTuple):
    """An event of the journal, whoever keeps it; times are seconds since the epoch, UTC."""

    seq: int
    at: float
    recorded_at: float
    actor: str
    type: str
    body: Mapping[str, Any]


class Entry(NamedTuple):
    """A line of a timeline. `corrected` are the earlier texts, oldest first; `body` is all that its kind holds."""

    seq: int
    at: float
    recorded_at: float
    actor: str
    kind: str
    text: str
    body: Mapping[str, Any]
    pinned: bool = False
    corrected: tuple[str, ...] = ()


class Incident(NamedTuple):
    """What is known of an incident. `clocks` has the values of each clock that was set, the one that counts last."""

    id: str
    environment: str
    state: str
    text: str
    severity: int
    declared_at: float
    by: str
    clocks: Mapping[str, tuple[float, ...]]
    suspects: tuple[str, ...]
    entries: tuple[Entry, ...]

    def clock(self, name: str) -> float | None:
        """Give what a clock says, in seconds since the epoch; None where it was not set."""
        values = self.clocks.get(name)
        return values[-1] if values else None

    def of_kind(self, *kinds: str) -> tuple[Entry, ...]:
        """Give the lines of some kinds, in the order of their happening."""
        return tuple(entry for entry in self.entries if entry.kind in kinds)

    def thoughts(self) -> dict[int, str]:
        """Give where each hypothesis stands, by the seq of the line that had it first."""
        return {entry.body.get("of", entry.seq): entry.body.get("state", OPEN) for entry in self.of_kind(HYPOTHESIS)}


def open_on(bodies: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Give the ids of the incidents that are open, by environment, from the bodies of their events, oldest first."""
    found: dict[tuple[str, str], str] = {}
    for body in filter(BODY, bodies):
        found[body["environment"], body["id"]] = body["state"]
    still: dict[str, tuple[str, ...]] = {}
    for (environment, incident), state in found.items():
        if state == OPEN:
            still[environment] = (*still.get(environment, ()), incident)
    return still


def fold(rows: Iterable[Row]) -> dict[str, Incident]:
    """Give every incident by its id, oldest first, from the events of the journal in the order of their seq.

    Changes come from the ledgers' entries: those of the incident's environment, from its first clock until it was
    resolved. What is no incident's stays away.
    """
    kept = list(rows)
    found = {incident.id: incident for incident in _stated(kept)}
    lines: dict[str, list[Entry]] = {name: [] for name in found}
    for row in kept:
        if row.type == ENTRY and LINE(row.body) and row.body["incident"] in found:
            lines[row.body["incident"]].append(_entry(row))
    ledger = [row for row in kept if row.type == LEDGER]
    return {name: _told(incident, lines[name], ledger) for name, incident in found.items()}


def _stated(rows: Iterable[Row]) -> list[Incident]:
    """Read where incidents stand; each later event says what is new."""
    found: dict[str, Incident] = {}
    for row in rows:
        if row.type != INCIDENT or not BODY(row.body):
            continue
        body = row.body
        if body["id"] not in found:
            declared = {"declared": (row.at,)}
            found[body["id"]] = Incident(
                body["id"], body["environment"], OPEN, "", DEFAULT_SEVERITY, row.at, row.actor, declared, (), ()
            )
        incident = found[body["id"]]
        clocks = dict(incident.clocks)
        if body["state"] == RESOLVED != incident.state:
            clocks["resolved"] = (*clocks.get("resolved", ()), row.at)
        if shape.number(body.get("declared")):
            clocks["declared"] = (*clocks["declared"], float(body["declared"]))
        severity = body.get("severity", incident.severity)
        found[body["id"]] = incident._replace(
            state=body["state"],
            text=str(body.get("text") or incident.text),
            severity=severity if severity in (1, 2, 3) else incident.severity,
            suspects=tuple(dict.fromkeys((*incident.suspects, *map(str, body.get("suspects", ()))))),
            clocks=clocks,
        )
    return list(found.values())


def _entry(row: Row) -> Entry:
    body = row.body
    heard: Any = body.get("recorded_at")  # by the journal from which it was handed over
    recorded_at = float(heard) if shape.number(heard) else row.recorded_at
    return Entry(row.seq, row.at, recorded_at, row.actor, body["kind"], body["text"], body)


def _told(incident: Incident, lines: list[Entry], ledger: Iterable[Row]) -> Incident:
    """Put together what is told of an incident: corrections and pins go to what they are about."""
    clocks, by_seq = dict(incident.clocks), {entry.seq: entry for entry in lines}
    for line in lines:
        about = by_seq.get(line.body.get("of", 0))
        if line.kind == CORRECTION and about is not None:
            by_seq[about.seq] = about._replace(text=line.text, corrected=(*about.corrected, about.text))
        elif line.kind == PIN and about is not None:
            by_seq[about.seq] = about._replace(pinned=bool(line.body.get("pinned", True)))
        elif line.kind == CLOCK and line.body.get("clock") in CLOCKS and shape.number(line.body.get("value")):
            name = line.body["clock"]
            clocks[name] = (*clocks.get(name, ()), float(line.body["value"]))
    told = incident._replace(clocks=clocks)
    every = [*by_seq.values(), *_changes(told, ledger)]
    return told._replace(entries=tuple(sorted(every, key=lambda entry: (entry.at, entry.seq))))


def _changes(incident: Incident, ledger: Iterable[Row]) -> list[Entry]:
    """Give what the ledgers tell of the incident's environment while it lasted."""
    since = min(values[-1] for values in incident.clocks.values())
    until = incident.clock("resolved") if incident.state == RESOLVED else None
    where = {
        row.body.get("change"): row.body["body"].get("environment")
        for row in ledger
        if isinstance(row.body.get("body"), Mapping) and "environment" in row.body["body"]
    }
    return [
        Entry(row.seq, row.at, row.recorded_at, row.actor, CHANGE, str(row.body.get("change")), row.body)
        for row in ledger
        if row.at >= since
        and (until is None or row.at <= until)
        and (where.get(row.body.get("change")) or "local") == incident.environment
    ]
