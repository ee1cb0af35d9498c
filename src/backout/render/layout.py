"""How groups of effects share a screen: rows side by side where they fit, and a count of what does not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from rich.text import Text

from backout.render.canvas import aligned
from backout.render.diff import diff_lines
from backout.render.effects import Group
from backout.render.screen import Screen

_GAP, _MOST_ACROSS = 2, 8


class Laid:
    """A group laid out for a screen: the height that it wants, and its lines for as many as it gets.

    `lead` is what stands before its title, in cells; `indent` what stands before its rows.
    """

    def __init__(self, group: Group, screen: Screen, lead: int, indent: int) -> None:
        self.group = group
        self._screen = screen
        self._lead = lead
        self._indent = indent
        self._short = self._one_line()
        self.height = 1 if self._short else 1 + _deep(len(group.rows), self._across(len(group.rows)))

    def _one_line(self) -> Text | None:
        """Give title and row in one line, where there is one row and it fits."""
        if len(self.group.rows) != 1:
            return None
        cells = [cell for cell in self.group.rows[0] if cell.plain.strip()]
        line = Text("  ").join([self.group.title, Text(" ").join(cells)])
        return line if line.cell_len + self._lead <= self._screen.width else None

    def _across(self, lines: int) -> int:
        """Tell how many rows go beside one another when there are so many lines."""
        most = _MOST_ACROSS if self.group.compact else 1
        room = self._screen.width - self._indent
        return next((n for n in range(most, 1, -1) if self._width(lines, n) <= room), 1)

    def _width(self, lines: int, across: int) -> int:
        columns = _columns(self.group.rows[: lines * across], across)
        cells = [[[cell.cell_len for cell in row] for row in column] for column in columns]
        widths: list[int] = [sum(max(cell) + 1 for cell in zip(*column, strict=True)) for column in cells]
        return sum(widths) - 1 + _GAP * (len(widths) - 1)

    def title(self, lines: int) -> Text:
        """Give the title: with the row behind it where they share a line, with a hint where rows have no line."""
        title = (self._short or self.group.title).copy()
        if lines == 1 and self.height > 1:
            title.append(" (--full)", style="dim")
        title.truncate(max(self._screen.width - self._lead, 10), overflow="ellipsis")
        return title

    def rows(self, lines: int, *, full: bool) -> list[Text]:
        """Draw the rows in that many lines, the last one counting what is left out; with all diffs when `full`."""
        if full:
            shown = [] if self._short else self._aligned(len(self.group.rows), len(self.group.rows), 0)
            return [*shown, *self._diffs()]
        if self._short or lines <= 0:
            return []
        if lines >= self.height - 1:
            return self._aligned(len(self.group.rows), lines, self._screen.width)
        count = (lines - 1) * self._across(lines - 1)
        if count == len(self.group.rows) - 1:  # the last one takes no more room than saying that it is left out
            last = aligned(self.group.rows[count:], self._indent, self._screen.width)
            return [*self._aligned(count, lines - 1, self._screen.width), *last]
        more = self._screen.plain(f"… and {sum(self.group.counts[count:])} more (--full)")
        return [*self._aligned(count, lines - 1, self._screen.width), Text(" " * self._indent + more, style="dim")]

    def _aligned(self, count: int, lines: int, width: int) -> list[Text]:
        rows = self.group.rows[:count]
        return aligned(_beside(rows, self._across(lines)), self._indent, width) if rows else []

    def _diffs(self) -> list[Text]:
        lines = [line for subject, diff in self.group.diffs for line in diff_lines(subject, diff, self._screen)]
        return [Text.assemble(" " * self._indent, line) for line in lines]


def _deep(count: int, across: int) -> int:
    return -(-count // across)


def _columns(rows: list[list[Text]], across: int) -> list[list[list[Text]]]:
    """Cut rows into columns that are read downwards first, as in a directory listing."""
    deep = max(_deep(len(rows), across), 1)
    return [rows[at : at + deep] for at in range(0, len(rows), deep)]


def _beside(rows: list[list[Text]], across: int) -> list[list[Text]]:
    blank = [Text()] * len(rows[0])
    gap = [Text(" " * (_GAP - 1))]
    lines = itertools.zip_longest(*_columns(rows, across), fillvalue=blank)
    return [list(itertools.chain(line[0], *([*gap, *row] for row in line[1:]))) for line in lines]


def share(wanted: Sequence[int], lines: int) -> list[int]:
    """Divide lines among groups that want so many each: what comes first is served first, but no group starves another.

    Each group gets one line at the least, its title, which counts what is in it. Where there are more groups than lines
    the last ones get none and one line is left to count them. The first group always gets its line. A second line
    comes with a third where it could hold no more than the title does: a count.
    """
    served = len(wanted) if len(wanted) <= lines else max(lines - 1, 1)
    given = [int(at < served) for at in range(len(wanted))]
    spare = lines - len(wanted) if served == len(wanted) else 0
    while hungry := [at for at in range(served) if 0 < _next_portion(given[at], wanted[at]) <= spare]:
        for at in hungry:
            portion = _next_portion(given[at], wanted[at])
            if portion <= spare:
                given[at] += portion
                spare -= portion
    return given


def _next_portion(given: int, wanted: int) -> int:
    return min(wanted - given, 2 if given == 1 else 1)
