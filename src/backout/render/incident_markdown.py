"""An incident as Markdown (CommonMark 0.31): nothing that was typed or printed is taken for markup."""

from __future__ import annotations

import re

from backout.render.incident_story import Line, Section, Story
from backout.render.screen import Screen

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&!$]|^(?:[-+=]|\d+[.)]))")
_SCREEN = Screen()


def markdown(story: Story) -> str:
    """Write the page."""
    parts = [f"# {_text(story.title)}"] + [part for section in story.sections for part in _section(section)]
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> list[str]:
    parts = [f"{'#' * section.level} {_text(section.title)}"]
    if section.facts:
        parts.append("\n".join(f"- {_text(label)}: {_lines(text)}" for label, text in section.facts))
    if section.lines:
        parts.append("\n".join(map(_line, section.lines)))
    return parts


def _line(line: Line) -> str:
    pinned = " (pinned)" if line.pinned else ""
    rows = [f"- **{_text(line.time)}** {_text(line.head)}{pinned}: {_lines(line.text)}"]
    rows += [f"  - {_lines(remark, '    ')}" for remark in line.remarks]
    if line.code:
        fence = "`" * max(3, max(map(len, re.findall("`+", line.code)), default=0) + 1)
        rows += ["", *(f"  {row}" for row in (f"{fence}text", *_code(line.code), fence)), ""]
    return "\n".join(rows)


def _code(text: str) -> list[str]:
    return [_SCREEN.visible(row).rstrip() for row in text.expandtabs().split("\n")]


def _lines(text: str, indent: str = "  ") -> str:
    """Write a text of several lines so that they stay below each other, in the item that they belong to."""
    return f"\\\n{indent}".join(_text(row) for row in text.strip("\n").split("\n"))


def _text(text: str) -> str:
    return _SPECIAL.sub(_escaped, _SCREEN.visible(text).strip())


def _escaped(found: re.Match[str]) -> str:
    return f"{found[0][:-1]}\\{found[0][-1]}"
