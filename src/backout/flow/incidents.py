"""Incidents in the journal: which one is meant, and to open, to record and to read one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from backout.errors import UsageError
from backout.model import shape
from backout.model.incident import BODY, ENTRY, INCIDENT, LEDGER, OPEN, RESOLVED, Incident, Row, fold
from backout.model.redact import redact
from backout.store.journal import Event, Journal

TYPES = (INCIDENT, ENTRY, LEDGER)
NO_ENVIRONMENT = "local"
"""What an incident's environment is called where there is no configuration that names one."""


def read(journal: Journal) -> dict[str, Incident]:
    """Give every incident that the journal knows of, oldest first."""
    return fold(row_of(event) for event in journal.events() if event.type in TYPES)


def row_of(event: Event) -> Row:
    """Give an event of the journal as those know it who fold events."""
    return Row(event.seq, event.at, event.recorded_at, event.actor, event.type, event.body)


class Standing(NamedTuple):
    """Where an incident stands, as its own events tell: the little that every command has to know, and quickly."""

    id: str
    environment: str
    state: str
    declared_at: float


def standing(journal: Journal, incident: str | None = None, environment: str | None = None) -> Standing | None:
    """Give the incident that is meant: the named one; else the one that was opened last and is open.

    With an environment only those count that are there. None where there is none; a name that is none, or stands for
    more than one, is a UsageError. Reads the incidents' own events alone: it must be quick.
    """
    known = _standings(journal.events(type=INCIDENT))
    if incident is not None:
        return known[_named(incident, list(known))]
    return _open(known, environment)


def _standings(events: Iterable[Event]) -> dict[str, Standing]:
    known: dict[str, Standing] = {}
    for event in events:
        if BODY(event.body):
            name = event.body["id"]
            before = known.get(name, Standing(name, event.body["environment"], OPEN, event.at))
            corrected = event.body.get("declared", before.declared_at)
            at = float(corrected) if shape.number(corrected) else before.declared_at
            known[name] = before._replace(state=event.body["state"], declared_at=at)
    return known


def _open(known: Mapping[str, Standing], environment: str | None) -> Standing | None:
    still = [one for one in known.values() if one.state == OPEN and environment in (None, one.environment)]
    return still[-1] if still else None


def current(journal: Journal, incident: str | None = None, environment: str | None = None) -> str | None:
    """Give the id of the incident that is meant, as `standing` does."""
    found = standing(journal, incident, environment)
    return found.id if found else None


def _named(incident: str, known: list[str]) -> str:
    """Take an id, or an end of one that no other has."""
    if incident in known:
        return incident
    found = [name for name in known if name.endswith(incident)]
    if len(found) != 1:
        what = "is none" if not found else f"could be {' or '.join(found)}"
        raise UsageError(f"No incident is named {incident!r}: it {what}.", next="backout export --list")
    return found[0]


def declare(
    journal: Journal,
    who: str,
    new_id: Callable[[], str],
    environment: str,
    text: str = "",
    *,
    at: float | None = None,
    severity: int | None = None,
) -> str:
    """Open an incident; gives its id. The clock starts at `at`, now where it is not given."""
    body = _opening(new_id, environment, text, severity)
    journal.append(at=time.time() if at is None else at, actor=who, type=INCIDENT, body=body)
    return str(body["id"])


def declare_or_join(
    journal: Journal,
    who: str,
    new_id: Callable[[], str],
    environment: str,
    text: str,
    *,
    at: float,
    severity: int | None = None,
    typed: str = "",
) -> tuple[str, bool]:
    """Open an incident, unless one is open on the environment; gives the id of either, and whether it was open.

    It is one act of the journal: whoever does so at the same moment is in the same incident.
    """
    body = _opening(new_id, environment, text, severity)
    body |= {"typed": redact(typed)} if typed else {}

    def known(events: Iterable[Event]) -> Standing | None:
        return _open(_standings(events), environment)

    found = journal.append_unless(known, at=at, actor=who, type=INCIDENT, body=body)
    return (found.id, True) if isinstance(found, Standing) else (str(body["id"]), False)


def _opening(new_id: Callable[[], str], environment: str, text: str, severity: int | None) -> dict[str, Any]:
    more = {"text": redact(text)} if text else {}
    given = {"severity": severity} if severity else {}
    return {"id": f"i{new_id()}", "environment": environment, "state": OPEN, **more, **given}


def state(
    journal: Journal, who: str, incident: str, environment: str, state: str, *, at: float | None = None, **more: Any
) -> Event:
    """Say where an incident stands: OPEN or RESOLVED, and what is new about it (severity, suspects, by)."""
    if state not in (OPEN, RESOLVED):
        raise ValueError(state)
    body = {"id": incident, "environment": environment, "state": state, **more}
    return journal.append(at=time.time() if at is None else at, actor=who, type=INCIDENT, body=body)


def record(
    journal: Journal,
    who: str,
    incident: str | None,
    kind: str,
    text: str,
    *,
    more: Mapping[str, Any] | None = None,
    at: float | None = None,
) -> Event:
    """Add a line to an incident's timeline, its text without secrets; without an incident it stands by itself.

    What `more` holds is the kind's (docs/design/incidents.md); its texts are redacted by who gives them.
    """
    body = {**(more or {}), "incident": incident or "", "kind": kind, "text": redact(text)}
    return journal.append(at=time.time() if at is None else at, actor=who, type=ENTRY, body=body)
