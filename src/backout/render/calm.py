"""The end of an incident on a terminal: what `backout calm` gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from typing import Any

from rich.text import Text

from backout.render.canvas import LABEL, labelled, text_of, wrapped
from backout.render.incident_story import duration_text, moment_text
from backout.render.letter import set_clocks
from backout.render.screen import Screen

_BY = {"checks": "by its checks", "word": "by word"}


def calm(document: Mapping[str, Any], screen: Screen, zone: tzinfo | None = None) -> str:
    """Draw a `backout.calm/1` document."""
    by = _BY.get(document["by"], "")
    at = f", {moment_text(document['resolved_at'], zone)}" if document["resolved_at"] else ""
    said = f": {document['word']}" if document["word"] else ""
    lines = [
        Text(screen.visible(f"Incident {document['incident']} on {document['environment']} is resolved")),
        *_block("By", [f"{by}{at}{said}"], screen),
        *_block("Checks", [_check(row) for row in document["checks"] if row["result"] != "healthy"], screen),
        *_block("Not asked", [f"{row['host']}: {row['what']}" for row in document["unreached"]], screen),
        *_block("Downtime", [_downtime(row) for row in document["downtime"]], screen),
        *_block("Paused", [_paused(row) for row in document["paused"]], screen),
        *_block("Backups", [_backup(row, screen, zone) for row in document["backups"]], screen),
    ]
    for row in document["drafts"]:
        lines += _draft(row, screen)
    return text_of([*lines, *_next(document["incident"], document["drafts"], screen)], screen)


def _block(label: str, rows: Iterable[str], screen: Screen) -> list[Text]:
    told = [line for row in rows for line in wrapped(screen.visible(row), screen.width - LABEL)]
    return labelled(label, told) if told else []


def _check(row: Mapping[str, Any]) -> str:
    first = next(iter(row["output"].strip().split("\n")), "")
    return f"{row['name']} on {row['host']} is {row['result']}" + (f": {first}" if first else "")


def _downtime(row: Mapping[str, Any]) -> str:
    whom = row["audience"] or "everybody"
    if row["source"] == "unknown":
        return f"{whom}: not known: no check was seen red, and nobody set when the impact started"
    how = "by its checks" if row["source"] == "checks" else "by the clocks"
    length = duration_text(row["seconds"]) if row["seconds"] else "none"
    return f"{whom}: {length}, {how}"


def _paused(row: Mapping[str, Any]) -> str:
    return f"{', '.join(row['units'])} on {row['host']} since change {row['change']}; to start again: {row['start']}"


def _backup(row: Mapping[str, Any], screen: Screen, zone: tzinfo | None) -> str:
    """Say how old a backup is, and what is known of its restore; what nobody tested yet, with how that is done."""
    made = f"last {moment_text(row['made_at'], zone)}" if row["made_at"] else "none on record"
    failed = row["failed"]
    if failed is not None:
        made += f", FAILED {moment_text(failed['at'], zone)}, exit code {failed['exit_code']}"
    old = ", longer ago than it may be" if row["made_at"] and row["too_old"] else ""
    restored = f"restored {moment_text(row['restored_at'], zone)}" if row["restored_at"] else "never seen restored"
    tested = row["tested"]
    if tested is not None and tested["exit_code"]:
        restored = f"NOT restored {moment_text(tested['at'], zone)}, exit code {tested['exit_code']}; {restored}"
    elif tested is not None:
        restored += f" in {duration_text(tested['duration_s'])}"
    how = f"; to test that: {' '.join(map(screen.word, row['restore']))}" if row["untested"] else ""
    return f"{row['name']}: {made}{old}, {restored}{how}"


def _draft(row: Mapping[str, Any], screen: Screen) -> list[Text]:
    name = "Letter" if row["type"] == "letter" else "Notice that it is resolved"
    state = "sent" if row["sent"] else "draft"
    lines = [Text(""), Text(screen.visible(f"{name} to {row['audience']} ({state})"), style="bold")]
    for part in (f"Subject: {row['subject']}", "", *row["plain"].rstrip("\n").split("\n")):
        lines += [Text.assemble("  ", line) for line in wrapped(screen.visible(part), screen.width - 2)]
    return lines


def _next(incident: str, drafts: Iterable[Mapping[str, Any]], screen: Screen) -> list[Text]:
    """Say what is missing, with the options that give it, and how it is sent."""
    waiting = [row for row in drafts if not row["sent"]]
    lacking = dict.fromkeys(field for row in waiting for field in row["missing"])
    if lacking:
        options = "".join(f" --{field} TEXT" for field in lacking if field != "how_long")
        clocks = f"{set_clocks(incident)}; " if "how_long" in lacking else ""
        names = ", ".join(field.replace("_", " ") for field in lacking)
        told = [f"Missing: {names}. Say it with: {clocks}backout calm{options}"]
    else:
        kinds = dict.fromkeys(row["type"] for row in waiting)
        commands = {"resolved": "backout tell", "letter": "backout tell --letter"}
        told = [f"To send: {', then '.join(commands[kind] for kind in kinds)}"] if kinds else []
    return [Text(""), *(line for row in told for line in wrapped(row, screen.width))] if told else []
