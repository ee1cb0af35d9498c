"""What is known of an incident when its review opens: what `export` tells, what its changes did, and who heard late."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from backout.config.values import Config
from backout.flow import export
from backout.flow.documents import Documents
from backout.flow.instant import instant_if_known
from backout.model import notice
from backout.model.check import CheckResult, turned_red
from backout.model.incident import CHANGE, Incident
from backout.model.ledger import Change, by_host, entry_from, fold
from backout.store.journal import Journal

_BEFORE_S = 86400.0
_MOST_BEFORE = 5
"""Of the changes made before anybody noticed, the newest so many of so long are told: one of them may be it."""


def known(journal: Journal, incident: Incident, config: Config, now: float) -> dict[str, Any]:
    """Give all of it, as a document from which the known part of the file is drawn."""
    every = _changes(journal)
    chosen = _chosen(incident, every)
    documents = Documents(journal)
    return {
        **export.document(journal, incident, config, now),
        "changed": [_told(change, documents) for change in chosen],
        "splits": _splits(every, {change.id for change in chosen}),
        "words": [_word(word) for word in notice.told(incident, config.audiences)],
    }


def _changes(journal: Journal) -> list[Change]:
    ledgers = by_host(map(entry_from, journal.entries()))
    found = [change for entries in ledgers.values() for change in fold(entries)]
    return sorted(found, key=lambda change: (change.at, change.host))


def _chosen(incident: Incident, every: Iterable[Change]) -> list[Change]:
    """Choose what its timeline and its suspects name, what that took back, and what was made shortly before it."""
    named = {*incident.suspects, *(entry.text for entry in incident.of_kind(CHANGE))}
    own = [change for change in every if (change.body.get("environment") or "local") == incident.environment]
    named |= {change.undoes for change in own if change.id in named and change.undoes}
    since = min(values[-1] for values in incident.clocks.values())
    before = [change for change in own if since - _BEFORE_S <= change.at <= since]
    named |= {change.id for change in before[-_MOST_BEFORE:]}
    return [change for change in every if change.id in named]


def _told(change: Change, documents: Documents) -> dict[str, Any]:
    """Tell what became of a change, what it did, as far as the journal has that, and which checks it turned red."""
    body = change.body
    effects = documents.of(change.host, change.undoes or change.id)
    results = [
        CheckResult(**row) for row in (*body.get("before", ()), *body.get("because", ()), *body.get("results", ()))
    ]
    red = turned_red(results)
    said = {row.name: row.output for row in results if row.name in red and row.result == "unhealthy"}
    return {
        **export.changed(change),
        "effects": None if effects is None or change.undoes else [effect._asdict() for effect in effects],
        "red": [{"name": name, "output": said.get(name, "")} for name in red],
    }


def _splits(every: Iterable[Change], ids: set[str]) -> list[dict[str, Any]]:
    """Tell what split found to break a change, and which change is the rest of it; the newest of each counts."""
    found = {change.body["split_from"]: change for change in every if change.body.get("split_from") in ids}
    return [{"change": name, "parts": one.body.get("parts", []), "rest": one.id} for name, one in found.items()]


def _word(word: notice.Word) -> dict[str, Any]:
    at, due = map(instant_if_known, (word.at, word.due))
    late = None if word.due is None or word.at is None else max(0.0, word.at - word.due)
    return {"audience": word.audience, "type": word.type, "at": at, "due": due, "late_s": late}
