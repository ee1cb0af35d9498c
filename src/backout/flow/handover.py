"""`backout import`, of an incident that a colleague exported as JSON: its timeline becomes part of this record.

Each line is taken in once, known by what it says, when and by whom: so two people may hand an incident to and fro.
Changes are left out: every journal learns them from the hosts' own ledgers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from backout.errors import UsageError
from backout.flow.incidents import read
from backout.flow.instant import instant
from backout.model import shape
from backout.model.digest import canonical
from backout.model.incident import CHANGE, DELIVERY, ENTRY, INCIDENT, LINE, NOTICE, OPEN, RESOLVED
from backout.model.notice import FAILED, GIVEN_UP, WAITING
from backout.model.redact import redact, redact_json
from backout.store.journal import Event, Journal, Line

_OWN = ("aside", "of", "output", "html", "recorded_at")
"""What of a body is told otherwise in each journal: it is no part of what a line says."""
_CONTENTS = ("output", "html")
_NOTICE = shape.fields(dict.fromkeys(("notice", "audience", "subject", "plain", "html"), shape.text))
_TIMES = shape.mapping(shape.many(shape.text))
_DOCUMENT = shape.fields(
    {
        "schema": shape.one_of("backout.incident/1"),
        **dict.fromkeys(("id", "environment", "text", "declared_by"), shape.text),
        "state": shape.one_of(OPEN, RESOLVED),
        "severity": lambda value: value in (1, 2, 3),
        "suspects": shape.many(shape.text),
        "clocks": _TIMES,
        **dict.fromkeys(("resolved_by", "resolved_who", "word"), shape.maybe(shape.text)),
        "entries": shape.many(
            shape.fields(
                {
                    "seq": shape.whole,
                    **dict.fromkeys(("at", "recorded_at", "actor"), shape.text),
                    "body": shape.mapping(shape.anything),
                    "contents": shape.mapping(shape.text),
                }
            )
        ),
        "deliveries": shape.many(
            shape.fields(
                {
                    **dict.fromkeys(("notice", "target", "state", "at", "message_id"), shape.text),
                    "attempt": shape.whole,
                }
            )
        ),
    }
)


class Taken(NamedTuple):
    """What was taken in: the incident's id, what it is about, and how many lines were new."""

    incident: str
    title: str
    lines: int


def take_in(journal: Journal, told: Any, file: str) -> Taken:
    """Take in a `backout.incident/1` document, all of it or nothing; a UsageError where the file is none."""
    if not _DOCUMENT(told) or not told["clocks"].get("declared"):
        raise _wrong(f"{file} is no incident as backout export --as json writes it.")
    try:
        lines = [*_states(journal, told), *_lines(journal, told)]
    except ValueError as error:
        raise _wrong(f"{file}: {error}.") from None
    return Taken(told["id"], told["text"], journal.take_in(lines))


def _states(journal: Journal, told: Mapping[str, Any]) -> Iterator[Line]:
    """Say where it stands: that it was declared, where it is not known here, and that it is resolved."""
    incident = {"id": told["id"], "environment": told["environment"]}
    known, declared = read(journal).get(told["id"]), told["clocks"]["declared"]
    if known is None:
        more = {"severity": told["severity"], "suspects": redact_json(told["suspects"])}
        text = {"text": redact(told["text"])} if told["text"] else {}
        yield _state(declared[0], told["declared_by"], {**incident, "state": OPEN, **text, **more})
        if len(declared) > 1:
            body = {**incident, "state": OPEN, "declared": _seconds(declared[-1])}
            yield _state(declared[-1], told["declared_by"], body)
    resolved = told["clocks"].get("resolved")
    if told["state"] == RESOLVED and resolved and (known is None or known.state == OPEN):
        said = {"by": told["resolved_by"], "word": told["word"] and redact(told["word"])}
        body = {**incident, "state": RESOLVED, **{name: value for name, value in said.items() if value}}
        yield _state(resolved[-1], told["resolved_who"] or told["declared_by"], body)


def _state(at: str, actor: str, body: dict[str, Any]) -> Line:
    return Line(_mark(at, actor, body, ""), _seconds(at), _seconds(at), actor, INCIDENT, body)


def _lines(journal: Journal, told: Mapping[str, Any]) -> Iterator[Line]:
    """Give the lines of the timeline that are not here yet; what they are about is found again by what it says."""
    here, own = _known(journal, told["id"]), set[str]()
    marks: dict[int, str] = {}
    for row in sorted(told["entries"], key=lambda row: row["seq"]):
        body = redact_json(row["body"])
        if body.get("kind") == CHANGE or "change" in body or body.get("handed_over"):
            continue
        is_line = LINE(body) and (body["kind"] != NOTICE or _NOTICE(body))
        if not is_line or body["incident"] != told["id"]:
            raise ValueError(f"entry {row['seq']} is no line of {told['id']}'s timeline")
        about = _about(body, marks)
        mark = marks[row["seq"]] = _mark(row["at"], row["actor"], body, about)
        if mark in here:
            own |= {str(body.get("notice"))} if "recorded_at" not in here[mark].body else set()
            continue
        body = {name: value for name, value in body.items() if name not in ("aside", "of")}
        body["recorded_at"] = body.get("recorded_at", _seconds(row["recorded_at"]))
        if about in here:
            body["of"], about = here[about].seq, ""
        body |= _contents(journal, body, row["contents"])
        at = _seconds(row["at"])
        yield Line(mark, at, at, row["actor"], ENTRY, body, about)
    yield from _handed_over(told, own)


def _handed_over(told: Mapping[str, Any], own: set[str]) -> Iterator[Line]:
    """Let go of what is still to be tried: whoever began it goes on with that, and nothing may be sent from two places.

    Notices that are our `own`, and come back, are tried from here as before.
    """
    for one in told["deliveries"]:
        if one["state"] in (WAITING, FAILED) and one["notice"] not in own:
            kept = {name: one[name] for name in ("notice", "target", "attempt", "message_id")}
            said = {"state": GIVEN_UP, "reply": f"{one['state']} where it was handed over from", "handed_over": True}
            text = f"{one['target']}: {GIVEN_UP}: {said['reply']}"
            body = {**kept, **said, "incident": told["id"], "kind": DELIVERY, "text": text}
            at = _seconds(one["at"])
            yield Line(_mark(one["at"], told["declared_by"], body, ""), at, at, told["declared_by"], ENTRY, body)


def _known(journal: Journal, incident: str) -> dict[str, Event]:
    """Give the lines that are here, by what they say."""
    found: dict[str, Event] = {}
    marks: dict[int, str] = {}
    for event in journal.events(type=ENTRY, holding=incident):
        if LINE(event.body) and event.body["incident"] == incident:
            mark = _mark(instant(event.at), event.actor, event.body, _about(event.body, marks))
            marks[event.seq] = mark
            found[mark] = event
    return found


def _about(body: Mapping[str, Any], marks: Mapping[int, str]) -> str:
    """Give the mark of the line that this one is about; empty where it is about none."""
    number: Any = body.get("of")
    return marks.get(number, "") if shape.whole(number) else ""


def _mark(at: str, actor: str, body: Mapping[str, Any], about: str) -> str:
    said = {name: value for name, value in body.items() if name not in _OWN}
    return hashlib.sha256(canonical([instant(_seconds(at)), actor, about, said])).hexdigest()[:32]


def _contents(journal: Journal, body: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Keep the texts that a line only names; gives their names, which are new where a text was not told to the byte."""
    there = [key for key in _CONTENTS if str(body.get(key)) in given]
    texts = [redact(given[body[key]]).encode("utf-8", "surrogateescape") for key in there]
    return dict(zip(there, journal.keep(texts), strict=True))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _wrong(what: str) -> UsageError:
    return UsageError(what, state="Nothing of that file was taken in.", next="Export it again, then import it again.")
