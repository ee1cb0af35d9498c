"""What a search found, and what an import took in: the drawings of `backout.search/1`, `entry/1` and `imported/1`."""

from __future__ import annotations

import json
from datetime import tzinfo
from typing import Any

from rich.text import Text

from backout.render.canvas import cut, text_of, wrapped
from backout.render.screen import Screen
from backout.render.when import when_text

_INDENT = 2
_KINDS = {"file": "note in a folder", "entry": "note", "ledger": "change"}


def search(document: dict[str, Any], screen: Screen, zone: tzinfo | None = None) -> str:
    """Draw what was found, best first: what and where it is, the words, what helped, and how to see all of it."""
    lines: list[Text] = []
    for found in document["found"]:
        lines += [*_found(found, screen, zone), Text()]
    if not lines:
        lines.append(Text("Nothing was found."))
    elif not document["did_you_mean"] and not document["limits"]:
        lines.pop()
    if document["did_you_mean"]:
        lines.append(Text(f"Did you mean: {screen.visible(document['did_you_mean'])}"))
    lines += [Text(screen.visible(limit), style="dim") for limit in document["limits"]]
    return text_of(lines, screen)


def _found(found: dict[str, Any], screen: Screen, zone: tzinfo | None) -> list[Text]:
    room, more = screen.width - _INDENT, screen.plain("…")
    said = [_KINDS.get(found["kind"], found["kind"]), when_text(found["at"], zone), found["environment"], found["who"]]
    lines = [
        Text(cut(screen.visible(found["title"]), screen.width, more), style="bold"),
        _below(Text(cut(screen.visible(" · ".join(filter(None, said))), room, more), style="dim")),
    ]
    if found["excerpt"] and found["excerpt"] not in (found["title"], *found["helped"]):
        lines += map(_below, wrapped(screen.visible(found["excerpt"]), room, most=2, more=more))
    for helped in found["helped"]:
        lines += map(_below, wrapped(f"helped: {screen.visible(helped)}", room, "green", most=2, more=more))
    lines.append(_below(Text(screen.visible(found["show"]), style="cyan")))
    return lines


def _below(line: Text) -> Text:
    return Text.assemble(" " * _INDENT, line)


def entry(document: dict[str, Any], screen: Screen, zone: tzinfo | None = None) -> str:
    """Draw the whole of an entry: its title and text as they are, all else as JSON."""
    body = dict(document["body"])
    title, text = body.pop("title", None), body.pop("text", None)
    head = f"{document['type']} {document['entry']} · {when_text(document['at'], zone)} · {document['who']}"
    lines = [Text(screen.visible(head), style="dim")]
    if title:
        lines.append(Text(screen.visible(str(title)), style="bold"))
    rest = {key: value for key, value in body.items() if value not in (None, "", {}, [])}
    if rest:
        told = json.dumps(rest, indent=2, ensure_ascii=False).splitlines()
        lines += [Text(screen.visible(line), style="dim") for line in told]
    if text:
        lines += [Text(), *(Text(screen.visible(line)) for line in str(text).splitlines())]
    return text_of(lines, screen)


def imported(document: dict[str, Any], screen: Screen) -> str:
    """Draw what was taken in of each file; what is wrong with the others is told as errors are."""
    rows = [row for row in document["files"] if row["error"] is None]
    return text_of([Text(screen.visible(_taken(row))) for row in rows], screen)


def _taken(row: dict[str, Any]) -> str:
    if row.get("incident"):
        lines = "1 line" if row["lines"] == 1 else f"{row['lines']} lines"
        what = f"{lines} taken in of" if row["new"] else "nothing is new of"
        return f"{row['source']}: {what} incident {row['incident']}: {row['title']}"
    what = "taken in" if row["new"] else "was here already"
    return f"{row['source']}: {what} as entry {row['entry']}: {row['title']}"
