"""What guards said of a change: the field `guards` of its documents, in a block of the report and in a few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from backout.render.canvas import LABEL, labelled, wrapped
from backout.render.screen import Screen

_STYLES = {"refused": "bold red", "overridden": "bold yellow", "warned": "yellow"}
_WORDS = {"refused": "refused by", "overridden": "overrode", "warned": "warned by"}
_MOST_LINES = 2


def passed(document: Mapping[str, Any], screen: Screen, *, full: bool) -> list[Text]:
    """Say which guards were passed, and what they had said; what one refused stands in the verdict."""
    lines: list[Text] = []
    for row in document.get("guards", ()):
        if row["outcome"] == "refused":
            continue
        lead = f"{row['name']} {row['outcome']}: "
        told = wrapped(
            lead + screen.visible(" ".join(row["reasons"])),
            screen.width - LABEL,
            most=0 if full else _MOST_LINES,
            more=screen.plain("…"),
        )
        told[0].stylize(_STYLES.get(row["outcome"], ""), len(row["name"]) + 1, len(lead) - 2)
        lines += told
    return labelled("Guards", lines)


def in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say in a few words what became of guards: overrode window, warned by pinned."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(_WORDS.get(row["outcome"], row["outcome"]), []).append(row["name"])
    return ", ".join(f"{word} {' and '.join(names)}" for word, names in found.items())
