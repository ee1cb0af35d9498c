"""What is overdue of what reviews promised: the field `owed` of a document, as a part at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from backout.render.canvas import LABEL, labelled, wrapped
from backout.render.screen import Screen

_MOST = 5
"""So many are told; `--json` has all."""


def owed(document: Mapping[str, Any], screen: Screen) -> list[Text]:
    """Draw it; nothing where nothing is overdue."""
    rows = document.get("owed", ())
    if not rows:
        return []
    lines: list[Text] = []
    for row in rows[:_MOST]:
        lines += wrapped(screen.visible(row["what"]), screen.width - LABEL, "yellow")
        lines.append(Text("  " + screen.visible(row["next"]), style="dim"))
    more = [Text(f"and {len(rows) - _MOST} more (--json has all)")] if len(rows) > _MOST else []
    return [Text(), *labelled("Overdue", [*lines, *more])]
