"""Markdown as far as we read it: which lines mean something, and which are code or a comment. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
"""CommonMark 0.31, 4.5: a block of code ends with at least as many of the marks it began with, and nothing behind."""


class Line(NamedTuple):
    """A line, without what blanks end it. One that is not `plain` is code or a comment, and means nothing to us."""

    number: int
    text: str
    is_plain: bool


class Scan(NamedTuple):
    """A text, line by line; `open_at` is the line of a block of code or a comment that has no end, 0 for none."""

    lines: list[Line]
    open_at: int


def scan(text: str) -> Scan:
    """Find out which lines are code, or a comment (CommonMark 0.31, 4.5 and 4.6)."""
    lines, fence, since = list[Line](), "", 0
    for number, row in enumerate(rows(text), 1):
        line, match = row.rstrip(), _FENCE.fullmatch(row.rstrip())
        inside = since
        if since and fence:
            since = 0 if match and match[1].startswith(fence) and not match[2].strip() else since
        elif since or line.lstrip().startswith("<!--"):
            fence, since = "", 0 if "-->" in line else since or number
        elif match:
            fence, since = match[1], number
        is_comment = not inside and line.lstrip().startswith("<!--")
        lines.append(Line(number, line, not inside and not since and not is_comment))
    return Scan(lines, since)


def rows(text: str) -> list[str]:
    """Cut at line feeds alone, as editors count lines; each row keeps its own."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
