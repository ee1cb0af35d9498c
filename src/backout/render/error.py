"""An error as three sentences: what happened, the host's state now, what to do next. Draws without `rich`."""

from __future__ import annotations

import textwrap
from typing import Any

from backout.render.screen import Screen

_RED_BOLD, _BOLD, _OFF = "\x1b[1;31m", "\x1b[1m", "\x1b[0m"


def render_error(document: dict[str, Any], screen: Screen) -> str:
    """Draw a `backout.error/1` document; `next` stays in one piece, so that a command in it can be copied."""
    state = screen.visible(document["state"])
    lines = [_line("backout: ", _RED_BOLD, _filled(screen.visible(document["what"]), screen, 9), screen)]
    if state:
        lines.append(" " * 9 + _filled(state, screen, 9))
    if document["next"]:
        lines.append(_line("next:    ", _BOLD, _advice(screen.visible(document["next"]), screen, 9), screen))
    return "\n".join(lines) + "\n"


def _line(label: str, style: str, text: str, screen: Screen) -> str:
    return (f"{style}{label}{_OFF}" if screen.color else label) + text


def _advice(text: str, screen: Screen, indent: int) -> str:
    """Wrap advice, but not the command line that it is or ends in."""
    prose, colon, line = text.rpartition(": backout ")
    if colon:
        return f"{_filled(prose + ':', screen, indent)}\n{' ' * indent}backout {line}"
    return text if text.startswith("backout ") else _filled(text, screen, indent)


def _filled(text: str, screen: Screen, indent: int) -> str:
    width = max(screen.width - indent, 20)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return ("\n" + " " * indent).join(lines)
