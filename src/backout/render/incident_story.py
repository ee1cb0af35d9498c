"""An incident as a page tells it, whatever that is written in: sections of facts and of lines, times in one zone."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from backout.render.recurrence import sentences

_OUTPUT_LINES = 100
"""So many lines of an output are on a page, from its end; all of it is in the JSON."""
_LATE_S = 60
"""What was written down so much later than it happened says so."""
_UNTOLD = ("pin",)
"""What is told where it is about: a pin at what is pinned, a correction at what it corrects."""
CLOCK_WORDS: Mapping[str, str] = {
    "impact_started": "impact started",
    "detected": "detected",
    "declared": "declared",
    "first_notice": "first notice sent",
    "mitigated": "mitigated",
    "resolved": "resolved",
    "status_published": "status published",
}
SEVERITY_WORDS: Mapping[int, str] = {1: "clients are down", 2: "clients notice", 3: "nobody outside notices"}


class Line(NamedTuple):
    """One thing that happened: when, who and what kind, its text; below it remarks, and what was printed, as it was.

    `number` is that of its entry, 0 of what is none.
    """

    time: str
    head: str
    text: str
    remarks: tuple[str, ...] = ()
    code: str = ""
    pinned: bool = False
    number: int = 0


class Section(NamedTuple):
    """A heading (of level 2, or of 3 below it), facts as label and value, and lines."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    lines: tuple[Line, ...] = ()
    level: int = 2


class Story(NamedTuple):
    """A whole page."""

    title: str
    sections: tuple[Section, ...]


def story(document: Mapping[str, Any], zone: tzinfo | None = None) -> Story:
    """Tell a `backout.incident/1` document, times in a zone (this machine's, unless told), which is written out."""
    commands = {row["id"]: row["command"] for row in document["changes"]}
    parts = [
        Section("Where it stands", tuple(_standing(document, zone))),
        Section("It happened before", lines=tuple(_again(row, zone) for row in document.get("recurrences", ()))),
        Section("Clocks", tuple(_clocks(document, zone))),
        Section("Downtime", tuple(_downtime(document, zone))),
        Section("Pinned", lines=tuple(_line(row, commands, zone) for row in document["entries"] if row["pinned"])),
        Section("Hypotheses", tuple((row["state"], row["text"]) for row in document["hypotheses"])),
        Section("Changes", lines=tuple(_change(row, zone) for row in document["changes"])),
        Section("Notices", lines=tuple(_notices(document, zone))),
    ]
    days = list(_days(document["entries"], commands, zone))
    timeline = [Section("Timeline"), *days] if days else []
    kept = [part for part in parts if part.facts or part.lines]
    return Story(f"Incident {document['id']}", (*kept, *timeline))


def duration_text(seconds: float) -> str:
    """Give a duration as people say it, to the second: 2 s, 12 min 5 s, 3 h 20 min."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if rest else ""]
    return " ".join(filter(None, parts[:2] if hours else parts))


def local(at: str, zone: tzinfo | None = None) -> datetime:
    """Give an RFC 3339 time in a zone."""
    return datetime.fromisoformat(at).astimezone(zone)


def zone_text(at: datetime) -> str:
    """Write out the zone of a time: its name, and how far it is from UTC at that time."""
    offset, name = at.strftime("%z"), at.tzname() or ""
    away = f"UTC{offset[:3]}:{offset[3:5]}"
    return "UTC" if name == "UTC" else away if name in ("", away) or name[0] in "+-" else f"{name}, {away}"


def moment_text(at: str, zone: tzinfo | None = None) -> str:
    """Give a time with its date and its zone."""
    here = local(at, zone)
    return f"{here:%Y-%m-%d %H:%M:%S} ({zone_text(here)})"


def _standing(document: Mapping[str, Any], zone: tzinfo | None) -> Iterable[tuple[str, str]]:
    yield "What", document["text"] or "not said"
    yield "Environment", document["environment"]
    by = {"checks": " by its checks", "word": " by word"}.get(document["resolved_by"], "")
    said = f": {document['word']}" if document["word"] else ""
    yield "State", f"{document['state']}{by}{said}"
    yield "Severity", f"{document['severity']}, {SEVERITY_WORDS[document['severity']]}"
    yield "Declared by", document["declared_by"]
    if document["suspects"]:
        yield "Suspects", ", ".join(document["suspects"])
    yield "As of", moment_text(document["at"], zone)


def _again(row: Mapping[str, Any], zone: tzinfo | None) -> Line:
    head = f"{row['incident']} on {row['environment']}"
    return Line(moment_text(row["at"], zone), head, row["title"], tuple(sentences(row)))


def _clocks(document: Mapping[str, Any], zone: tzinfo | None) -> Iterable[tuple[str, str]]:
    for name, words in CLOCK_WORDS.items():
        values = document["clocks"][name]
        if values:
            earlier = ", ".join(moment_text(at, zone) for at in dict.fromkeys(values[:-1]) if at != values[-1])
            yield words, moment_text(values[-1], zone) + (f"; first recorded as {earlier}" if earlier else "")


def _downtime(document: Mapping[str, Any], zone: tzinfo | None) -> Iterable[tuple[str, str]]:
    for row in document["downtime"]:
        checks = f" ({', '.join(row['checks'])})" if row["checks"] else ""
        if row["source"] == "unknown":
            yield (row["name"] or row["audience"] or "everybody"), "not known"
            continue
        how = "by checks" if row["source"] == "checks" else "by the clocks"
        spans = "; ".join(f"{moment_text(one['from'], zone)} to {moment_text(one['to'], zone)}" for one in row["spans"])
        length = duration_text(row["seconds"]) if row["seconds"] else "none"
        yield (
            (row["name"] or row["audience"] or "everybody"),
            f"{length}, {how}{checks}" + (f": {spans}" if spans else ""),
        )


def _change(row: Mapping[str, Any], zone: tzinfo | None) -> Line:
    state = f"taken back by {row['undone_by']}" if row["undone_by"] else row["state"]
    what = f"takes back {row['undoes']}" if row["undoes"] else command_text(row["command"])
    remarks = (f"why: {row['why']}",) if row["why"] else ()
    return Line(moment_text(row["at"], zone), f"{row['id']} on {row['host']}, {row['who']}: {state}", what, remarks)


def command_text(words: Iterable[str]) -> str:
    """Write a command as it is typed; one word is a line for a shell already."""
    given = list(words)
    return given[0] if len(given) == 1 else shlex.join(given)


def _notices(document: Mapping[str, Any], zone: tzinfo | None) -> Iterable[Line]:
    rows = [row for row in document["entries"] if row["kind"] == "notice"]
    last = {(row["body"].get("audience"), row["body"].get("type")): row["seq"] for row in rows}
    for row in rows:
        body = row["body"]
        if body.get("draft") and row["seq"] != last[body.get("audience"), body.get("type")]:
            continue  # it was written anew, or sent
        told = [one for one in document["deliveries"] if one["notice"] == body.get("notice")]
        remarks = tuple(
            f"{one['target']}: {one['state']}, {moment_text(one['at'], zone)}"
            + (f" ({one['reply']})" if one["reply"] else "")
            for one in told
        )
        what = f"{body.get('type', 'notice')} to {body.get('audience', 'nobody')}"
        head = f"{what}, draft" if body.get("draft") else what
        yield Line(
            moment_text(row["at"], zone),
            head,
            str(body.get("subject", "")),
            remarks,
            str(body.get("plain", "")).rstrip(),
        )


def _days(
    entries: Sequence[Mapping[str, Any]], commands: Mapping[str, list[str]], zone: tzinfo | None
) -> Iterable[Section]:
    """Break the timeline at midnight, and where the clocks were put forward or back: each part names its zone."""
    title, lines = "", list[Line]()
    known = {row["seq"] for row in entries}
    for row in entries:
        if row["kind"] in _UNTOLD or (row["kind"] == "correction" and row["body"].get("of") in known):
            continue
        here = local(row["at"], zone)
        day = f"{here:%Y-%m-%d} ({zone_text(here)})"
        if day != title and lines:
            yield Section(title, lines=tuple(lines), level=3)
            lines = []
        title = day
        lines.append(_line(row, commands, zone))
    if lines:
        yield Section(title, lines=tuple(lines), level=3)


def _line(row: Mapping[str, Any], commands: Mapping[str, list[str]], zone: tzinfo | None) -> Line:
    body, kind = row["body"], row["kind"]
    remarks = [f"first written: {text}" for text in row["corrected"]]
    if (local(row["recorded_at"]) - local(row["at"])).total_seconds() > _LATE_S:
        remarks.append(f"written down {moment_text(row['recorded_at'], zone)}")
    if body.get("typed"):
        remarks.append(f"typed: {body['typed']}")
    head, text, code = kind, row["text"], ""
    if kind == "command":
        head = f"command{_where(body)}"
        remarks.append(command_remark(body))
        code = _end(_output(row))
    elif kind == "backup" and "duration_s" in body:
        head, code = f"backup{_where(body)}", _end(str(body.get("output", "")))
        remarks.append(command_remark(body))
    elif kind == "hypothesis":
        head = f"hypothesis, {body.get('state', 'open')}"
    elif kind == "change":
        head, text = "change", _ledger_text(row, commands.get(row["text"], []))
    elif kind == "clock":
        head, text = "clock", _clock_text(body, zone) or text
    elif kind == "check":
        head, code = f"check{_where(body)}", _end(str(body.get("output", "")))
    elif kind == "note" and body.get("asked"):
        head = f"note ({body['asked']})"
    time, head = f"{local(row['at'], zone):%H:%M:%S}", f"{row['actor']}, {head}"
    return Line(time, head, text, tuple(remarks), code, row["pinned"], row["seq"])


def _where(body: Mapping[str, Any]) -> str:
    return f" on {body['host']}" if body.get("host") else ""


def command_remark(body: Mapping[str, Any]) -> str:
    """Say what came of a command, how long it took, and under which name it is known."""
    code, took = body.get("exit_code"), body.get("duration_s")
    ended = "not known how it ended" if code is None else f"exit code {code}"
    named = f', done as "{body["as"]}"' if body.get("as") else ""
    return ended + (f", {duration_text(took)}" if isinstance(took, (int, float)) else "") + named


def _output(row: Mapping[str, Any]) -> str:
    return str(row["contents"].get(row["body"].get("output")) or row["body"].get("tail", ""))


def _end(text: str) -> str:
    """Give the last lines of an output, and say how many are before them."""
    lines = text.rstrip("\n").split("\n")
    if len(lines) <= _OUTPUT_LINES:
        return text.rstrip("\n")
    return "\n".join([f"({len(lines) - _OUTPUT_LINES} lines before)", *lines[-_OUTPUT_LINES:]])


def _ledger_text(row: Mapping[str, Any], command: list[str]) -> str:
    """Say what became of a change on its host at that time."""
    entry = row["body"]
    told = f"{row['text']} {entry.get('kind', '')} on {entry.get('host', '')}"
    return f"{told}: {command_text(command)}" if command else told


def _clock_text(body: Mapping[str, Any], zone: tzinfo | None) -> str:
    value, name = body.get("value"), CLOCK_WORDS.get(str(body.get("clock")), "")
    if not name or not isinstance(value, (int, float)):
        return ""
    here = datetime.fromtimestamp(value).astimezone(zone)
    return f"{name}: {here:%Y-%m-%d %H:%M:%S} ({zone_text(here)})"
