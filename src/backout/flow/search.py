"""`backout search`: what was there before that looks like this, and what helped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from backout.errors import UsageError
from backout.flow.incidents import row_of
from backout.flow.instant import instant
from backout.model.incident import (
    COMMAND,
    CONFIRMED,
    DECISION,
    ENTRY,
    HYPOTHESIS,
    INCIDENT,
    LEDGER,
    Incident,
    fold,
)
from backout.model.proof import PROOF
from backout.model.review import REVIEW
from backout.model.ways import REHEARSAL
from backout.store.folders import FILE
from backout.store.journal import Event, Hit, Journal

POSTMORTEM = "postmortem"
"""The type of an event that holds an imported postmortem: `title`, `date`, `text`, `source`, `front`."""
FOUND, NOT_FOUND = 0, 3
_DEEPER = 5
"""So many hits are asked for beside each thing that is told of: an incident may be hit by many of its lines."""
_MOST_HELP = 3
_HELPED_KEYS = ("helped", "resolution", "fix", "remedy", "mitigation", "workaround")
_HELPED = re.compile(
    r"^#+\s*(?:what (?:helped|worked|fixed it)|resolution|recovery|remedy|fix|mitigation|workaround|solution)\b.*\n"
    r"\s*([^#\s][^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)


class Similar(NamedTuple):
    """Something earlier that answers a text. `helped` is what helped then, where that is on record.

    `kind` is `incident`, `postmortem`, `change`, `file`, or that of a line of a timeline (`note`, `command` …). `id` is
    what names it: an incident's or change's id, a path, the number of an entry. `at` is seconds since the epoch, UTC.
    """

    kind: str
    id: str
    title: str
    at: float
    environment: str
    who: str
    excerpt: str
    helped: tuple[str, ...]
    show: str


def search(
    journal: Journal, text: str, limit: int = 10, beside: Sequence[Event] = (), limits: Sequence[str] = ()
) -> tuple[dict[str, Any], int]:
    """Give the `backout.search/1` document and the exit code: 0 when something was found, else 3.

    `beside` are the notes of folders, `limits` what could not be searched.
    """
    found = journal.search(text, limit * _DEEPER, beside)
    told = _grouped(journal, found.hits, limit)
    document = {
        "schema": "backout.search/1",
        "found": [{**each._asdict(), "at": instant(each.at), "helped": list(each.helped)} for each in told],
        "did_you_mean": found.did_you_mean,
        "limits": list(limits),
    }
    return document, FOUND if told else NOT_FOUND


def similar(journal: Journal, text: str, limit: int = 3, but: str = "") -> tuple[Similar, ...]:
    """Give the earlier incidents and postmortems that a text looks like, best first, and what helped then.

    `but` is the id of the incident that is going on.
    """
    hits = [hit for hit in journal.search(text, 4 * limit * _DEEPER).hits if _incident(hit.event) != but or not but]
    kinds = [hit for hit in hits if hit.event.type == POSTMORTEM or _incident(hit.event)]
    return _grouped(journal, kinds, limit)


def whole(journal: Journal, number: int) -> dict[str, Any]:
    """Give an entry of the journal by its number, as `backout.entry/1`; a UsageError where there is none."""
    event = next(journal.events(after=number - 1), None)
    if event is None or event.seq != number:
        raise UsageError(f"There is no entry {number} in the journal.", next="backout search TEXT names what it finds.")
    return {
        "schema": "backout.entry/1",
        "entry": event.seq,
        "at": instant(event.at),
        "who": event.actor,
        "type": event.type,
        "body": event.body,
    }


def _grouped(journal: Journal, hits: Sequence[Hit], limit: int) -> tuple[Similar, ...]:
    """Tell of each thing once, at its best hit."""
    best: dict[str, Hit] = {}
    for hit in hits:
        best.setdefault(_name(hit.event), hit)
    return tuple(_told(journal, name, hit) for name, hit in list(best.items())[:limit])


def _name(event: Event) -> str:
    if event.type == LEDGER:
        return str(event.body.get("change"))
    if event.type == FILE:
        return str(event.body["path"])
    return _incident(event) or str(event.seq)


def _incident(event: Event) -> str:
    key = {INCIDENT: "id", ENTRY: "incident", REVIEW: "incident", PROOF: "incident"}.get(event.type, "")
    return str(event.body.get(key, "")) if key else ""


def _told(journal: Journal, name: str, hit: Hit) -> Similar:
    event, body = hit.event, hit.event.body
    if _incident(event):
        return _of_incident(journal, name, hit)
    if event.type == LEDGER:
        inner = body.get("body", {})
        title = str(inner.get("why") or " ".join(map(str, inner.get("command", ()))) or name)
        where, who = str(inner.get("environment") or body.get("host", "")), str(inner.get("who", ""))
        return Similar("change", name, title, event.at, where, who, hit.excerpt, (), f"backout show {name}")
    done = " ".join(map(str, body.get("command") or ())) if event.type == REHEARSAL else ""
    title = str(body.get("title") or _line(body) or done or event.type)
    where = str(_front(body).get("environment") or "")
    if event.type == FILE:
        return Similar(FILE, name, title, event.at, "", "", hit.excerpt, _helped(body), f"less {name}")
    kind = str(body.get("kind", event.type)) if event.type == ENTRY else event.type
    show = f"backout search --entry {event.seq}"
    return Similar(kind, name, title, event.at, where, event.actor, hit.excerpt, _helped(body), show)


def _of_incident(journal: Journal, name: str, hit: Hit) -> Similar:
    rows = (event for kind in (INCIDENT, ENTRY) for event in journal.events(type=kind, holding=name))
    known = fold(row_of(event) for event in rows if _incident(event) == name)
    if name not in known:
        return Similar(
            INCIDENT, name, name, hit.event.at, "", hit.event.actor, hit.excerpt, (), f"backout export {name}"
        )
    told = told_of(known[name], hit.excerpt)
    return told._replace(show=f"backout review --print --incident {name}") if hit.event.type == REVIEW else told


def told_of(incident: Incident, excerpt: str = "") -> Similar:
    """Tell of an earlier incident, and what helped then: what was pinned, decided, confirmed, or worked."""
    lines = [
        entry.text
        for entry in incident.entries
        if entry.pinned
        or entry.kind == DECISION
        or (entry.kind == HYPOTHESIS and entry.body.get("state") == CONFIRMED)
        or (entry.kind == COMMAND and entry.body.get("as") and entry.body.get("exit_code") == 0)
    ]
    helped = tuple(dict.fromkeys(line.partition("\n")[0] for line in lines if line.strip()))[-_MOST_HELP:]
    title = incident.text.partition("\n")[0] or incident.id
    at, where, who = incident.declared_at, incident.environment, incident.by
    show = f"backout export {incident.id}"
    return Similar(INCIDENT, incident.id, title, at, where, who, excerpt, helped, show)


def _line(body: Mapping[str, Any]) -> str:
    return str(body.get("text", "")).strip().partition("\n")[0]


def _front(body: Mapping[str, Any]) -> Mapping[str, Any]:
    front = body.get("front")
    return front if isinstance(front, Mapping) else {}


def _helped(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Give what a postmortem or a note says helped: by its front matter, else below a heading that promises it."""

    def said() -> Iterator[str]:
        front = _front(body)
        yield from (str(front[key]) for key in _HELPED_KEYS if front.get(key))
        yield from (found[1].lstrip("-* ").strip() for found in _HELPED.finditer(str(body.get("text", ""))))

    return tuple(dict.fromkeys(said()))[:_MOST_HELP]
