"""Lines of `rich` text, aligned and labelled, and what they become: text, or an SVG picture of a terminal."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from rich.text import Text

from backout.render.screen import Screen

if TYPE_CHECKING:
    from rich.console import Console

_LONG = 80
LABEL = 11
"""The width of the column that holds a report's labels."""

# Rich's own SVG names a font on a web server; ours stays one file that asks nobody for anything.
_SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-family: ui-sans-serif, Arial, sans-serif; font-size: 18px; font-weight: bold; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def text_of(lines: Iterable[Text], screen: Screen) -> str:
    """Draw lines; none ends in blanks, each in a newline, and none holds what a terminal would obey."""
    lines = [_shown(line, screen) for line in lines]
    drawn = _coloured(lines, screen) if screen.color else "".join(f"{line.plain}\n" for line in lines)
    drawn = drawn if screen.unicode else drawn.replace("…", "~")
    return "".join(line.rstrip() + "\n" for line in drawn.split("\n")[:-1])


def _shown(line: Text, screen: Screen) -> Text:
    """Escape what whoever made the line left as the host gave it; such a line loses its colours."""
    visible = screen.visible(line.plain)
    return line if screen.plain(line.plain) == visible else Text(visible)


def _coloured(lines: Iterable[Text], screen: Screen) -> str:
    written = io.StringIO()
    console = _console(written, screen)
    for line in lines:
        console.print(line, no_wrap=True, overflow="ignore", crop=False)
    return written.getvalue()


def picture_of(lines: Iterable[Text], screen: Screen, title: str) -> str:
    """Draw lines as an SVG picture of a terminal window; the same lines give the same bytes."""
    from rich.terminal_theme import SVG_EXPORT_THEME

    console = _console(io.StringIO(), screen._replace(color=True), record=True)
    for line in lines:
        console.print(_shown(line, screen), no_wrap=True, overflow="ellipsis")
    return console.export_svg(title=title, theme=SVG_EXPORT_THEME, code_format=_SVG, unique_id="backout")


def _console(written: io.StringIO, screen: Screen, *, record: bool = False) -> Console:
    from rich.console import Console  # a third of what drawing imports, for colours alone

    return Console(
        file=written,
        width=max(screen.width, 20),
        color_system="standard" if screen.color else None,
        force_terminal=screen.color,
        no_color=not screen.color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        record=record,
        _environ={},
    )


def aligned(rows: Sequence[Sequence[Text]], indent: int, width: int = 0) -> list[Text]:
    """Set rows of equally many cells in columns, a line each.

    With a width, the widest column is shortened until the lines fit; without one, nothing is cut, and a cell that is
    very long stands out of its column.
    """
    widths = [_column_width(column, cut=bool(width)) for column in zip(*rows, strict=True)]
    room = width - indent - (len(widths) - 1)
    while width and sum(widths) > room and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    fitted = [map(partial(_fitted, cut=bool(width)), row, widths) for row in rows]
    return [Text.assemble(" " * indent, Text(" ").join(cells)) for cells in fitted]


def _column_width(column: Sequence[Text], *, cut: bool) -> int:
    return max((cell.cell_len for cell in column if cut or cell.cell_len <= _LONG), default=0)


def _fitted(cell: Text, width: int, *, cut: bool) -> Text:
    fitted = cell.copy()
    if cut and "/" in cell.plain and " " not in cell.plain and cell.cell_len > width > 1:
        fitted = Text.assemble("…", cell[len(cell) - width + 1 :])  # which file it is stands at the end of a path
    elif cut:
        fitted.truncate(width, overflow="ellipsis")
    blank = max(width - fitted.cell_len, 0)
    if cell.justify == "right":
        fitted.pad_left(blank)
    else:
        fitted.append(" " * blank, style="none")
    return fitted


def labelled(label: str, lines: Sequence[Text]) -> list[Text]:
    """Put a label before the first line and indent the others below it."""
    heads = [Text(label.ljust(LABEL), style="bold")] + [Text(" " * LABEL)] * len(lines)
    return [Text.assemble(head, line) for head, line in zip(heads, lines, strict=False)]


def wrapped(text: str, width: int, style: str = "", most: int = 0, more: str = "…") -> list[Text]:
    """Break prose at blanks into lines of a width, at `most` so many; a long word stays whole, to be copied."""
    lines = textwrap.wrap(text, max(width, 20), break_long_words=False, break_on_hyphens=False) or [""]
    if most and len(lines) > most:
        lines = [*lines[: most - 1], cut(" ".join(lines[most - 1 :]), max(width, 20), more)]
    return [Text(line, style=style) for line in lines]


def cut(text: str, width: int, more: str = "…") -> str:
    """Shorten text to a width in cells."""
    whole = Text(text)
    if whole.cell_len <= width:
        return text
    whole.truncate(max(width - len(more), 0))
    return whole.plain.rstrip() + more
