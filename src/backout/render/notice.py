"""What an audience reads: the subject, and the same words as plain text and as HTML."""

from __future__ import annotations

import html
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, NamedTuple

from backout.model.incident import RESOLVED
from backout.model.notice import FIRST, LETTER, UPDATE

_SUBJECT_CHARS = 120
_ROWS: Mapping[str, tuple[tuple[str, str], ...]] = {
    FIRST: (("We see", "seen"), ("", "We are on it."), ("Next word", "next_at")),
    UPDATE: (("What changed", "changed"), ("The remedy", "remedy"), ("Next word", "next_at")),
    RESOLVED: (("All is well since", "since"), ("What was done", "done"), ("Data lost", "lost")),
    LETTER: (
        ("How long", "how_long"),
        ("Why", "why"),
        ("What was done", "done"),
        ("Data lost", "lost"),
        ("Can it happen again", "again"),
    ),
}
"""What stands in a notice of each type, in order: a label and the field behind it, or a sentence of ours."""


class Written(NamedTuple):
    """A notice as it goes out."""

    subject: str
    plain: str
    html: str


def notice(
    type: str, *, status: str, impact: str, environment: str, fields: Mapping[str, Any], zone: tzinfo | None = None
) -> Written:
    """Write a notice; times in `zone`, this machine's unless told. A field that is missing leaves its line out.

    The subject carries the state. It holds no name of a host that nobody typed.
    """
    rows = [(label, _text(fields, field, zone) if label else field) for label, field in _ROWS[type]]
    rows = [(label, text) for label, text in rows if text]
    public = ("", f"Status: {status}. Impact: {impact}.")
    subject = _subject(status, environment, _headline(type, fields, zone))
    told = [*rows, *([] if type == LETTER else [public])]
    return Written(subject, _plain(told), _html(subject, told))


def time_text(at: float, zone: tzinfo | None = None) -> str:
    """Give seconds since the epoch as a date and time with the zone written out, so that no reader has to guess."""
    local = datetime.fromtimestamp(at, UTC).astimezone(zone)
    place = f"{key}, " if (key := getattr(zone, "key", "")) and key != "UTC" else ""
    offset = local.strftime("%z")
    hours = "UTC" if offset == "+0000" else f"UTC{offset[:3]}:{offset[3:5]}"
    return f"{local:%Y-%m-%d %H:%M} ({place}{hours})"


def _text(fields: Mapping[str, Any], field: str, zone: tzinfo | None) -> str:
    value = fields.get(field)
    return time_text(value, zone) if isinstance(value, (int, float)) else _clean(value or "")


def _clean(text: str) -> str:
    """Give a text without what a mail program would obey or could not hold: control characters, stray bytes."""
    sound = text.encode("utf-8", "backslashreplace").decode()
    return "".join(char for char in sound if char in "\n\t" or char.isprintable()).strip()


def _subject(status: str, environment: str, headline: str) -> str:
    where = f"{environment}: " if environment else ""
    line = " ".join(f"[{status}] {_clean(where + headline)}".split())
    return line if len(line) <= _SUBJECT_CHARS else f"{line[: _SUBJECT_CHARS - 1].rstrip()}…"


def _headline(type: str, fields: Mapping[str, Any], zone: tzinfo | None) -> str:
    if type == RESOLVED:
        return f"all is well since {_text(fields, 'since', zone)}"
    if type == LETTER:
        return "what happened, and what comes of it"
    first, _, _ = _text(fields, "seen" if type == FIRST else "changed", zone).partition("\n")
    return first


def _plain(rows: list[tuple[str, str]]) -> str:
    return "\n\n".join(f"{label}: {text}" if label else text for label, text in rows) + "\n"


def _html(subject: str, rows: list[tuple[str, str]]) -> str:
    """Write a page that loads nothing from anywhere: mail programs ask before they do, and readers then say no."""
    told = [
        f"<p>{f'<strong>{html.escape(label)}:</strong> ' if label else ''}{_lines(text)}</p>" for label, text in rows
    ]
    head = f'<head><meta charset="utf-8"><title>{html.escape(subject)}</title></head>'
    return "\n".join(["<!DOCTYPE html>", f'<html lang="en">{head}', "<body>", *told, "</body>", "</html>", ""])


def _lines(text: str) -> str:
    return html.escape(text).replace("\n", "<br>\n")
