"""An incident on a terminal: what `backout show INCIDENT` gives."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from backout.render.canvas import aligned, text_of, wrapped
from backout.render.incident_story import Line, Section, Story
from backout.render.screen import Screen

_CODE_LINES = 10
"""So many lines of an output are shown here; `backout export` has more."""


def timeline(story: Story, screen: Screen) -> str:
    """Draw the page."""
    lines = [Text(screen.visible(story.title), style="bold")]
    for section in story.sections:
        lines += [Text(""), Text(screen.visible(section.title), style="bold"), *_facts(section, screen)]
        lines += [row for line in section.lines for row in _line(line, screen)]
    return text_of(lines, screen)


def _facts(section: Section, screen: Screen) -> list[Text]:
    rows = [(screen.visible(label), screen.visible(text)) for label, text in section.facts]
    width = max((len(label) for label, _ in rows), default=0)
    return [
        line
        for label, text in rows
        for number, part in enumerate(wrapped(text, screen.width - width - 4))
        for line in aligned([(Text((label if number == 0 else "").ljust(width), style="dim"), part)], 2)
    ]


def _line(line: Line, screen: Screen) -> Iterable[Text]:
    indent = " " * 4
    pinned = " (pinned)" if line.pinned else ""
    yield Text.assemble("  ", (line.time, "bold"), f"  {screen.visible(line.head)}{pinned}")
    for row in line.text.strip("\n").split("\n"):
        yield from (Text.assemble(indent, part) for part in wrapped(screen.visible(row), screen.width - 4))
    for remark in line.remarks:
        yield from (Text.assemble(indent, part) for part in wrapped(screen.visible(remark), screen.width - 4, "dim"))
    code = line.code.split("\n") if line.code else []
    if len(code) > _CODE_LINES:
        yield Text(f"{indent}| ({len(code) - _CODE_LINES} lines before)", style="dim")
    yield from (Text(f"{indent}| {screen.visible(row.expandtabs())}", style="dim") for row in code[-_CODE_LINES:])
