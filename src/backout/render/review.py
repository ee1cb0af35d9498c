"""The known part of a review's file: what the record tells, to be read in an editor, a line a thing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, tzinfo
from typing import Any

from backout.render.incident_story import Line, command_text, duration_text, moment_text, story
from backout.render.recurrence import sentences
from backout.render.screen import Screen
from backout.render.version import jump

_MOST_CHARACTERS, _MOST_EFFECTS = 200, 20
"""Of a text and of a change's effects so much is in the file; all of it is in `backout show` and `export`."""
_SCREEN = Screen()
_STATES = {"kept": "stands", "undone": "backed out"}
_MARKS = {"added": "+", "removed": "-", "edited": "~"}


def known(document: Mapping[str, Any], zone: tzinfo | None = None) -> str:
    """Write what `flow.known` tells; the same as long as nothing new is known."""
    told = story({**document, "entries": [row for row in document["entries"] if not row["body"].get("draft")]}, zone)
    facts = {section.title: section.facts for section in told.sections}
    days = [section for section in told.sections if section.level > 2]  # noqa: PLR2004 - a day of the timeline
    standing = [fact for fact in facts["Where it stands"] if fact[0] not in ("What", "As of")]
    parts = [
        f"# Review: {_SCREEN.visible(document['text'] or document['id'])}",
        _block("Incident", _facts([("Incident", document["id"]), *standing])),
        _block("It happened before", _again(document.get("recurrences", ()), zone)),
        _block("Clocks", _facts(facts.get("Clocks", ()))),
        _block("Downtime", _facts(facts.get("Downtime", ()))),
        _block("Hypotheses", _facts(facts.get("Hypotheses", ()))),
        _block("Changes, what each did, and the checks that it turned red", _changes(document["changed"], zone)),
        _block("What split found", _splits(document["splits"])),
        _block("Who was told, and when", _words(document, zone)),
        _block("Timeline", [row for day in days for row in (day.title, *map(_line, day.lines))]),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def guidance(due: date | None) -> str:
    """Say how a path and an action are written, with the day that is proposed for it."""
    day = "DATE" if due is None else due.isoformat()
    return "\n".join(
        [
            "### How it is written",
            "",
            "```text",
            "Below ## Paths, as many as there are. led: it happened this way, and the timeline shows it.",
            "could have led: another way into the same state.",
            "",
            "### P1 led: one setting re-resolved every package",
            "entries: #4712, #4720",
            "### P2 could have led: a rebuilt virtualenv resolves anew",
            "",
            "Below ## Actions: what is done about them. kind: prevent, detect or mitigate.",
            "proof: guard NAME, check NAME, command NAME, accepted by NAME until DATE, or handed to NAME by DATE.",
            "",
            "### A1 Refuse a change that moves setuptools across a major version",
            "- owner: Anna",
            f"- due: {day}",
            "- kind: prevent",
            "- closes: P1, P2",
            "- proof: guard setuptools-stays",
            "```",
            "",
        ]
    )


def _block(title: str, rows: Iterable[str]) -> str:
    """Write lines as they are: as code, nothing in them is taken for markup."""
    told = [_SCREEN.visible(row).rstrip() for row in rows]
    fence = "`" * max(3, *(1 + len(run) for row in told for run in re.findall("`+", row)), 3)
    return "\n".join([f"### {title}", "", f"{fence}text", *told, fence]) if told else ""


def _again(rows: Iterable[Mapping[str, Any]], zone: tzinfo | None) -> Iterable[str]:
    """Tell which earlier incidents said the same, and what became of what was to keep it away."""
    for row in rows:
        yield f"{row['incident']} on {row['environment']}, {moment_text(row['at'], zone)}: {_cut(row['title'])}"
        yield from (f"    {_cut(told)}" for told in sentences(row))


def _facts(facts: Iterable[tuple[str, str]]) -> list[str]:
    rows = [(label, text) for label, text in facts]
    width = max((len(label) for label, _ in rows), default=0)
    return [f"{label:{width}}  {_cut(text)}" for label, text in rows]


def _cut(text: str) -> str:
    one = " / ".join(row.strip() for row in text.strip().split("\n"))
    return one if len(one) <= _MOST_CHARACTERS else f"{one[: _MOST_CHARACTERS - 1]}…"


def _line(line: Line) -> str:
    remarks = "".join(f" ({_cut(remark)})" for remark in line.remarks)
    pinned = " [pinned]" if line.pinned else ""
    return f"#{line.number}  {line.time}  {line.head}{pinned}: {_cut(line.text)}{remarks}"


def _changes(rows: Iterable[Mapping[str, Any]], zone: tzinfo | None) -> Iterable[str]:
    for row in rows:
        state = f"taken back by {row['undone_by']}" if row["undone_by"] else _STATES.get(row["state"], row["state"])
        what = f"takes back {row['undoes']}" if row["undoes"] else _cut(command_text(row["command"]))
        yield f"{row['id']}  {moment_text(row['at'], zone)}  {row['who']} on {row['host']}, {state}: {what}"
        if row["why"]:
            yield f"    why: {_cut(row['why'])}"
        yield from (f"    {effect}" for effect in _effects(row["effects"]))
        yield from (f"    turned red: {red['name']}: {_cut(_last(red['output']))}" for red in row["red"])


def _last(output: str) -> str:
    """Give the line of an output that says most: the last one."""
    return ([row for row in output.split("\n") if row.strip()] or ["it said nothing"])[-1]


def _effects(effects: Iterable[Mapping[str, Any]] | None) -> list[str]:
    """Give what a change did, what reaches furthest first; nothing where the journal does not have it."""
    if effects is None:
        return []
    ranked = sorted(effects, key=_rank)
    more = [f"and {len(ranked) - _MOST_EFFECTS} more"] if len(ranked) > _MOST_EFFECTS else []
    return [*(_effect(effect) for effect in ranked[:_MOST_EFFECTS]), *more]


def _rank(effect: Mapping[str, Any]) -> tuple[bool, tuple[int, int], str, str]:
    before, after = (value if isinstance(value, str) else None for value in (effect["before"], effect["after"]))
    is_package = str(effect["kind"]).endswith("-package")
    return not is_package, jump(before, after).reach if is_package else (0, 0), str(effect["kind"]), effect["subject"]


def _effect(effect: Mapping[str, Any]) -> str:
    named = f"{_MARKS.get(effect['op'], '>')} {effect['kind']}:{effect['subject']}"
    if not str(effect["kind"]).endswith("-package"):
        return named
    return f"{named} {' -> '.join(str(value) for value in (effect['before'], effect['after']) if value is not None)}"


def _splits(rows: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for row in rows:
        yield f"{row['change']} breaks by:"
        yield from (f"    {' with '.join(part)}" for part in row["parts"])
        yield f"    without that it is {row['rest']}: backout run --change {row['rest']}"


def _words(document: Mapping[str, Any], zone: tzinfo | None) -> Iterable[str]:
    """Tell who got which word when, what was late, what never came, and what did not arrive."""
    for row in document["words"]:
        if row["at"] is None:
            yield f"{row['audience']}: {row['type']} never sent; it was due {moment_text(row['due'], zone)}"
            continue
        late = f", {duration_text(row['late_s'])} late" if (row["late_s"] or 0) >= 1 else ""
        yield f"{row['audience']}: {row['type']} sent {moment_text(row['at'], zone)}{late}"
    for row in document["deliveries"]:
        if row["state"] != "sent":
            reply = f": {_cut(row['reply'])}" if row["reply"] else ""
            yield f"{row['audience']}: {row['type']} to {row['target']}: {row['state']}{reply}"
