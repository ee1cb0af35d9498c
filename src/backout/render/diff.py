"""Unified diffs as coloured lines."""

from __future__ import annotations

from rich.text import Text

from backout.render.screen import Screen

_STYLES = {"+++": "bold", "---": "bold", "@@": "cyan", "+": "green", "-": "red", "\\": "dim"}


def diff_lines(subject: str, diff: str, screen: Screen) -> list[Text]:
    """Give a diff line by line, below its subject where the diff does not name it itself; nothing is cut."""
    lines = diff.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    head = [] if diff.startswith("--- ") else [Text(screen.name(subject), style="bold")]
    return [*head, *(Text(screen.visible(line.expandtabs(8)), style=_style(line)) for line in lines)]


def _style(line: str) -> str:
    return next((style for start, style in _STYLES.items() if line.startswith(start)), "dim")
