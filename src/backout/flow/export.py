"""`backout export`: everything that is known of one incident, as the document from which all its forms are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from backout.config.values import Config
from backout.errors import UsageError
from backout.flow.incidents import current, read
from backout.flow.instant import instant, instant_if_known
from backout.flow.recurrences import rows as recurring
from backout.model import notice
from backout.model.downtime import Downtime, downtime, readings
from backout.model.incident import CLOCKS, HYPOTHESIS, INCIDENT, OPEN, RESOLVED, Incident
from backout.model.ledger import Change, by_host, entry_from
from backout.model.ledger import fold as fold_changes
from backout.store.journal import Journal


def newest(journal: Journal, name: str | None = None) -> Incident:
    """Give the incident of this name (an end of an id will do), else the newest; UsageError where there is none."""
    named = None if name is None else current(journal, name)
    known = read(journal)
    if not known:
        raise UsageError("There is no incident on record.", next="backout panic opens one.")
    return known[named] if named is not None else list(known.values())[-1]


def listed(journal: Journal) -> dict[str, Any]:
    """Give the `backout.incidents/1` document: every incident in a line, newest first."""
    rows = [
        {
            "id": one.id,
            "environment": one.environment,
            "state": one.state,
            "severity": one.severity,
            "text": one.text,
            "declared_at": instant(one.clock("declared") or one.declared_at),
            "resolved_at": instant_if_known(one.clock("resolved") if one.state == RESOLVED else None),
            "entries": len(one.entries),
        }
        for one in read(journal).values()
    ]
    return {"schema": "backout.incidents/1", "incidents": rows[::-1]}


def document(journal: Journal, incident: Incident, config: Config, now: float) -> dict[str, Any]:
    """Give the `backout.incident/1` document, complete: what was corrected, every output, every delivery."""
    return {
        "schema": "backout.incident/1",
        "id": incident.id,
        "environment": incident.environment,
        "state": incident.state,
        "severity": incident.severity,
        "text": incident.text,
        "declared_by": incident.by,
        "at": instant(now),
        **_resolution(journal, incident),
        "public": {"status": notice.status(incident), "impact": notice.IMPACTS[incident.severity]},
        "suspects": list(incident.suspects),
        "clocks": {name: [instant(at) for at in incident.clocks.get(name, ())] for name in CLOCKS},
        "downtime": downtimes(incident, config, now),
        "checks": _checks(incident, now),
        "hypotheses": _hypotheses(incident),
        "changes": _changes(journal, incident),
        **_recurrences(journal, incident, config),
        "deliveries": _deliveries(journal, incident),
        "entries": [_entry(journal, entry) for entry in incident.entries],
    }


def _recurrences(journal: Journal, incident: Incident, config: Config) -> dict[str, Any]:
    """Tell where it is a recurrence; of most incidents there is nothing to be told."""
    found = recurring(journal, incident, read(journal), config)
    return {"recurrences": found} if found else {}


def downtimes(incident: Incident, config: Config, now: float) -> list[dict[str, Any]]:
    """Tell for each audience how long it was down, and by what that is known; first for all checks together."""
    told = notice.told_of(incident, config.audiences)
    each = [(None, "", ())] + [(one.key, one.name, one.checks) for one in config.audiences if one.key in told]
    found = []
    for key, name, checks in each:
        down = downtime(incident, checks, now)
        row = {"audience": key, "name": name, "checks": list(checks), "source": down.source}
        found.append({**row, "seconds": round(down.seconds, 3), "spans": _spans(down)})
    return found


def _checks(incident: Incident, now: float) -> list[dict[str, Any]]:
    """Tell when each check was red, on whichever host."""
    names = dict.fromkeys(one.name for one in readings(incident.entries))
    return [{"name": name, "spans": _spans(downtime(incident, (name,), now))} for name in names]


def _spans(down: Downtime) -> list[dict[str, str]]:
    return [{"from": instant(start), "to": instant(end)} for start, end in down.spans]


def _resolution(journal: Journal, incident: Incident) -> dict[str, Any]:
    """Say by what it counts as resolved: its checks, or somebody's word."""
    last: Mapping[str, Any] = {}
    for event in journal.events(type=INCIDENT):
        if event.body.get("id") == incident.id and event.body.get("state") == RESOLVED == incident.state:
            last = {"resolved_by": event.body.get("by"), "resolved_who": event.actor, "word": event.body.get("word")}
    return dict(last or dict.fromkeys(("resolved_by", "resolved_who", "word")))


def _hypotheses(incident: Incident) -> list[dict[str, Any]]:
    states, first = incident.thoughts(), {entry.seq: entry for entry in incident.of_kind(HYPOTHESIS)}
    return [
        {"entry": seq, "text": first[seq].text if seq in first else "", "state": state or OPEN}
        for seq, state in states.items()
    ]


def _changes(journal: Journal, incident: Incident) -> list[dict[str, Any]]:
    """Tell where each change stands now of which the timeline holds something."""
    named = dict.fromkeys(entry.text for entry in incident.of_kind("change"))
    found = []
    for entries in by_host(map(entry_from, journal.entries() if named else ())).values():
        found += [changed(change) for change in fold_changes(entries) if change.id in named]
    return sorted(found, key=lambda row: (row["at"], row["host"]))


def changed(change: Change) -> dict[str, Any]:
    """Tell of a change in the words of the document."""
    body = change.body
    return {
        "id": change.id,
        "host": change.host,
        "at": instant(change.at),
        "state": change.state,
        "who": str(body.get("who", "")),
        "why": str(body.get("why", "")),
        "command": list(map(str, body.get("command", ()))),
        "undoes": body.get("undoes"),
        "undone_by": change.undone_by,
    }


def _deliveries(journal: Journal, incident: Incident) -> list[dict[str, Any]]:
    places = notice.deliveries(incident.entries, sending=journal.is_sending())
    return [
        {
            "notice": one.notice,
            "audience": one.audience,
            "type": one.type,
            "target": one.target,
            "state": one.state,
            "attempt": one.attempt,
            "at": instant(one.at),
            "message_id": one.message_id,
            "reply": one.reply,
        }
        for one in places.values()
    ]


def _entry(journal: Journal, entry: Any) -> dict[str, Any]:
    """Give a line of the timeline, and the texts that it only names: an output, a page."""
    names = (entry.body.get(key) for key in ("output", "html") if entry.kind in ("command", "notice"))
    return {
        "seq": entry.seq,
        "at": instant(entry.at),
        "recorded_at": instant(entry.recorded_at),
        "actor": entry.actor,
        "kind": entry.kind,
        "text": entry.text,
        "pinned": entry.pinned,
        "corrected": list(entry.corrected),
        "body": dict(entry.body),
        "contents": dict(_contents(journal, names)),
    }


def _contents(journal: Journal, names: Iterable[Any]) -> Iterable[tuple[str, str]]:
    for name in names:
        content = journal.content(name) if isinstance(name, str) else None
        if content is not None:
            yield name, content.decode("utf-8", "backslashreplace")
