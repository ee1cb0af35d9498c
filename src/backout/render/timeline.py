"""The timeline of an incident as an SVG picture: clocks as bars, red checks, changes, notices, and what was done.

What lies too near to be told apart is one mark with their number: 10,000 notes are as legible as ten.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from backout.render.incident_story import duration_text, moment_text, zone_text
from backout.render.screen import Screen

_LEFT, _WIDTH, _RIGHT, _ROW, _BAR, _TOP = 150, 850, 24, 34, 14, 56
"""In SVG units: the column of labels, the axis, a margin, a row, a bar, where the first row begins."""
_APART, _CHAR = 14.0, 6.6
"""Marks nearer than this are one; about the width of a character."""
_TICKS_S = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_MOST_TICKS, _MOST_CHECKS, _MOST_TOLD, _MOST_SHOWN = 9, 8, 5, 1000
_BARS = (
    ("impact", ("impact_started", "detected", "declared"), ("mitigated", "resolved")),
    ("incident", ("declared",), ("resolved",)),
)
_LANES = (
    ("changes", ("change",)),
    ("notices", ("notice",)),
    ("commands", ("command", "backup")),
    ("notes", ("note", "hypothesis", "decision")),
)
_STYLE = """.tl { font: 12px system-ui, "DejaVu Sans", sans-serif; }
.tl text { fill: #1b1f24; } .tl .soft { fill: #59636e; } .tl .page { fill: #ffffff; } .tl .grid { stroke: #d8dee4; }
.tl .bar { fill: #a8d0ea; } .tl .red { fill: #d55e00; } .tl .mark { fill: #0072b2; } .tl .count { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
.tl text { fill: #e6edf3; } .tl .soft { fill: #9aa6b2; } .tl .page { fill: #0d1117; } .tl .grid { stroke: #30363d; }
.tl .bar { fill: #12344d; } .tl .mark { fill: #56b4e9; } .tl .count { fill: #0d1117; }
}"""


class _Axis(NamedTuple):
    start: float
    end: float
    zone: tzinfo | None

    def x(self, at: float) -> float:
        return _LEFT + _WIDTH * min(max((at - self.start) / (self.end - self.start), 0.0), 1.0)


class _Mark(NamedTuple):
    at: float
    text: str


def picture(document: Mapping[str, Any], zone: tzinfo | None = None) -> str:
    """Draw a `backout.incident/1` document; the same document gives the same bytes in the same zone."""
    axis = _axis(document, zone)
    rows = [*_bars(document, axis), *_red(document, axis), *_lanes(document, axis)]
    height = _TOP + _ROW * len(rows) + 30
    title = html.escape(f"Incident {document['id']}: its timeline")
    width = _LEFT + _WIDTH + _RIGHT
    head = f'<svg class="tl" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
    return "\n".join(
        [
            f'{head} aria-label="{title}">',
            f"<title>{title}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="page" width="{width}" height="{height}"/>',
            f'<text x="12" y="22" font-size="15" font-weight="600">{title}</text>',
            *_ticks(axis, height),
            *(part for number, (name, parts) in enumerate(rows) for part in _row(number, name, parts)),
            "</svg>\n",
        ]
    )


def _axis(document: Mapping[str, Any], zone: tzinfo | None) -> _Axis:
    """Take in all that happened and every clock; of an incident that is open, what is until now."""
    times = [_s(row["at"]) for row in document["entries"]]
    times += [_s(values[-1]) for values in document["clocks"].values() if values]
    times += [_s(at) for row in document["checks"] for span in row["spans"] for at in span.values()]
    if document["state"] == "open":
        times.append(_s(document["at"]))
    start, end = min(times), max(times)
    return _Axis(start, max(end, start + 60), zone)


def _s(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


def _ticks(axis: _Axis, height: int) -> Iterable[str]:
    """Draw the scale: hours and minutes of the zone, with the date where it is another than at the tick before."""
    length = axis.end - axis.start
    step = next(
        (tick for tick in _TICKS_S if length / tick <= _MOST_TICKS), 86400 * math.ceil(length / 86400 / _MOST_TICKS)
    )
    shape = "%H:%M:%S" if step < 60 else "%H:%M"  # noqa: PLR2004 - a minute
    before = ""
    for number in range(math.ceil(axis.start / step), math.floor(axis.end / step) + 1):
        here = datetime.fromtimestamp(number * step).astimezone(axis.zone)
        x, day = axis.x(number * step), f"{here:%Y-%m-%d} {zone_text(here)}"
        yield f'<line class="grid" x1="{x:.1f}" y1="{_TOP - 4}" x2="{x:.1f}" y2="{height - 24}"/>'
        anchor = "end" if x > _LEFT + _WIDTH - 20 else "middle"
        yield f'<text class="soft" x="{x:.1f}" y="{height - 8}" text-anchor="{anchor}">{here.strftime(shape)}</text>'
        if day != before:
            place = "end" if x > _LEFT + _WIDTH - len(day) * _CHAR else "start"
            yield f'<text class="soft" x="{x:.1f}" y="{_TOP - 10}" text-anchor="{place}">{html.escape(day)}</text>'
        before = day


def _row(number: int, name: str, parts: Iterable[str]) -> Iterable[str]:
    y = _TOP + _ROW * number
    yield f'<g transform="translate(0 {y})"><text x="{_LEFT - 12}" y="21" text-anchor="end">{_text(name, 20)}</text>'
    yield from parts
    yield "</g>"


def _bars(document: Mapping[str, Any], axis: _Axis) -> Iterable[tuple[str, list[str]]]:
    clocks = {name: values[-1] for name, values in document["clocks"].items() if values}
    for name, begins, ends in _BARS:
        start = next((clocks[clock] for clock in begins if clock in clocks), None)
        if start is None:
            continue
        end = next((clocks[clock] for clock in ends if clock in clocks), document["at"])
        yield name, [_bar("bar", start, end, axis, told=True)]


def _bar(kind: str, start: str, end: str, axis: _Axis, *, told: bool = False) -> str:
    x, until, length = axis.x(_s(start)), axis.x(_s(end)), _s(end) - _s(start)
    about = f"{moment_text(start, axis.zone)} to {moment_text(end, axis.zone)}, {duration_text(max(length, 0))}"
    words, width = duration_text(max(length, 0)), max(until - x, 2.0)
    inside = len(words) * _CHAR + 12 < width
    at, anchor = (x + 6, "start") if inside else (until + 6, "start")
    if not inside and at + len(words) * _CHAR > _LEFT + _WIDTH:
        at, anchor = x - 6, "end"
    label = f'<text x="{at:.1f}" y="21" text-anchor="{anchor}">{words}</text>' if told else ""
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{(_ROW - _BAR) / 2:.0f}" width="{width:.1f}" height="{_BAR}" rx="3">'
        f"<title>{html.escape(about)}</title></rect>{label}"
    )


def _red(document: Mapping[str, Any], axis: _Axis) -> Iterable[tuple[str, list[str]]]:
    """Draw when each check was red; beyond so many checks the rest shares a row."""
    red = [row for row in document["checks"] if row["spans"]]
    for row in red[:_MOST_CHECKS]:
        yield f"red: {row['name']}", [_bar("red", one["from"], one["to"], axis) for one in row["spans"]]
    rest = red[_MOST_CHECKS:]
    if rest:
        spans = [one for row in rest for one in row["spans"]]
        yield f"red: {len(rest)} more", [_bar("red", one["from"], one["to"], axis) for one in spans]


def _lanes(document: Mapping[str, Any], axis: _Axis) -> Iterable[tuple[str, list[str]]]:
    for name, kinds in _LANES:
        marks = [_Mark(_s(row["at"]), _about(row)) for row in document["entries"] if row["kind"] in kinds]
        if marks:
            yield f"{name} ({len(marks)})", [_dot(cluster, axis) for cluster in _clusters(marks, axis)]


def _about(row: Mapping[str, Any]) -> str:
    if row["kind"] == "change":
        return f"{row['text']} {row['body'].get('kind', '')}"
    return str(row["text"])


def _clusters(marks: Sequence[_Mark], axis: _Axis) -> list[list[_Mark]]:
    """Put together what is nearer than _APART to the first of its cluster."""
    found: list[list[_Mark]] = []
    for mark in marks:
        if found and axis.x(mark.at) - axis.x(found[-1][0].at) < _APART:
            found[-1].append(mark)
        else:
            found.append([mark])
    return found


def _dot(cluster: Sequence[_Mark], axis: _Axis) -> str:
    first, count = cluster[0], len(cluster)
    at = datetime.fromtimestamp(first.at).astimezone(axis.zone)
    told = [f"{at:%H:%M:%S} {_shown(first.text, 120)}", *(_shown(mark.text, 120) for mark in cluster[1:_MOST_TOLD])]
    told += [f"and {count - _MOST_TOLD} more"] if count > _MOST_TOLD else []
    x, radius = axis.x(first.at) + (_APART / 2 - 2 if count > 1 else 0), 4 if count == 1 else 6.5
    number = str(count) if count < _MOST_SHOWN else f"{count // _MOST_SHOWN}k"
    size = 7.5 if len(number) < 3 else 6  # noqa: PLR2004 - so many digits fit
    words = f'<text class="count" x="{x:.1f}" y="19.5" font-size="{size}" text-anchor="middle">{number}</text>'
    label = "" if count == 1 else words
    about = html.escape("\n".join(told))
    return f'<g><circle class="mark" cx="{x:.1f}" cy="{_ROW // 2}" r="{radius}"/>{label}<title>{about}</title></g>'


def _shown(text: str, most: int) -> str:
    first = Screen().visible(text)
    return first if len(first) <= most else f"{first[: most - 1]}…"


def _text(text: str, most: int) -> str:
    return html.escape(_shown(text, most))
