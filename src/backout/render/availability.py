"""The drill's page: the availability of its runs on one time axis, as one HTML file that needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import NamedTuple

_LEFT, _WIDTH, _STRIP, _TOP, _ROW, _GAP = 16, 960, 40, 34, 18, 30
"""In SVG units: margin, width, height of a run's strip, where it begins below the run's top, a row of labels, a gap."""
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
_MOST_TICKS = 10
_LABEL_WIDTH = 7.2


class Run(NamedTuple):
    """One run of the drill: how long it took, what became of the requests, and when.

    `samples` are (seconds from the start, answered well, latency in milliseconds), `events` (seconds, what happened).
    """

    name: str
    seconds: float
    failed: int
    total: int
    samples: list[tuple[float, bool, float]]
    events: list[tuple[float, str]]


def downtime(run: Run) -> list[tuple[float, float]]:
    """Give the stretches without service in seconds: from a failed request to the next answered one, or the end."""
    stretches: list[tuple[float, float]] = []
    since: float | None = None
    for at_s, ok, _ in sorted(run.samples):
        if not ok and since is None:
            since = at_s
        elif ok and since is not None:
            stretches.append((since, at_s))
            since = None
    return stretches if since is None else [*stretches, (since, max(run.seconds, since))]


def downtime_s(run: Run) -> float:
    """Add up the stretches without service, in seconds."""
    return sum(end - start for start, end in downtime(run))


def page(runs: list[Run], title: str = "backout drill: one change, four ways") -> str:
    """Give the whole page: a picture, the table of what it shows, how to read it. Light, dark and on paper."""
    return _PAGE.format(
        title=html.escape(title),
        summary=html.escape(_summary(runs)),
        picture=_picture(runs),
        rows="\n".join(_row(run) for run in runs),
    )


def _summary(runs: Sequence[Run]) -> str:
    worst = max(runs, key=downtime_s, default=None)
    if worst is None:
        return "Nothing was run."
    if not worst.failed:
        return "No request failed in any run."
    without = [run.name for run in runs if not run.failed]
    kept = f" No request failed in: {', '.join(without)}." if without else ""
    lost = f"{worst.failed} of {worst.total} requests failed"
    return f"{worst.name}: {downtime_s(worst):.1f} s without service, {lost}.{kept}"


def _row(run: Run) -> str:
    down = downtime_s(run)
    share = 100 * (run.total - run.failed) / run.total if run.total else 100.0
    mark = "bad" if run.failed else "good"
    return (
        f'<tr><th scope="row">{html.escape(run.name)}</th><td>{run.seconds:.1f} s</td>'
        f'<td class="{mark}">{down:.1f} s</td><td class="{mark}">{run.failed}</td><td>{run.total}</td>'
        f"<td>{share:.1f} %</td></tr>"
    )


def _picture(runs: Sequence[Run]) -> str:
    end_s = max((max([run.seconds, *(at for at, _, _ in run.samples)]) for run in runs), default=0.0) or 1.0
    height, lanes = 0, []
    for run in runs:
        labels = _labels(run, end_s)
        lanes.append(_lane(run, labels, height, end_s))
        height += _TOP + _STRIP + _ROW * max((label.row + 1 for label in labels), default=0) + _GAP
    height += 20
    about = "Availability of each run over time; the table below holds the same in numbers."
    return "\n".join(
        [
            f'<svg viewBox="0 0 {_WIDTH + 2 * _LEFT} {height}" role="img" aria-label="{about}">',
            _axis(end_s, height),
            *lanes,
            "</svg>",
        ]
    )


def _x(at_s: float, end_s: float) -> float:
    return _LEFT + _WIDTH * min(max(at_s / end_s, 0.0), 1.0)


def _axis(end_s: float, height: int) -> str:
    step = next((tick for tick in _TICKS if end_s / tick <= _MOST_TICKS), max(int(end_s) // _MOST_TICKS, _TICKS[-1]))
    parts = []
    for at_s in range(0, int(end_s) + 1, step):
        x = _x(at_s, end_s)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="22" x2="{x:.1f}" y2="{height - 24}"/>')
        anchor = "start" if at_s == 0 else "end" if x > _WIDTH else "middle"
        parts.append(f'<text class="small" x="{x:.1f}" y="{height - 8}" text-anchor="{anchor}">{at_s} s</text>')
    return "\n".join(parts)


def _lane(run: Run, labels: Sequence[_Label], y: int, end_s: float) -> str:
    """Draw one run: its name, a strip that is broken where it was down, the latency of each answer, its events."""
    top = y + _TOP
    stretches = downtime(run)
    x_end = _x(run.seconds, end_s)
    down = (
        f" · {downtime_s(run):.1f} s down, {run.failed} of {run.total} failed" if run.failed else " · no request failed"
    )
    parts = [
        f'<text class="name" x="{_LEFT}" y="{y + 22}">{html.escape(run.name)}',
        f'<tspan class="small">{down}</tspan></text>',
        f'<rect class="up" x="{_LEFT}" y="{top}" width="{x_end - _LEFT:.1f}" height="{_STRIP}" rx="3"/>',
    ]
    for start_s, stop_s in stretches:
        x = _x(start_s, end_s)
        width = max(_x(stop_s, end_s) - x, 2.0)
        parts.append(
            f'<rect class="down" x="{x:.1f}" y="{top}" width="{width:.1f}" height="{_STRIP}">'
            f"<title>down from {start_s:.1f} s to {stop_s:.1f} s</title></rect>"
        )
    parts += [_latency(run, top, end_s), _events(labels, top)]
    return "\n".join(parts)


def _latency(run: Run, top: int, end_s: float) -> str:
    """Draw each answer's latency as a tick in the strip, against the slowest of the run; failed ones across it."""
    slowest = max((latency for _, ok, latency in run.samples if ok), default=1.0) or 1.0
    good, bad = [], []
    foot = top + _STRIP
    for at_s, ok, latency_ms in run.samples:
        x = _x(at_s, end_s)
        if ok:
            good.append(f"M{x:.1f} {foot}V{foot - 3 - (_STRIP - 12) * latency_ms / slowest:.1f}")
        else:
            bad.append(f"M{x:.1f} {top}V{foot}")
    return f'<path class="tick" d="{"".join(good)}"/><path class="cross" d="{"".join(bad)}"/>'


class _Label(NamedTuple):
    """One event's text: where the event is, where the text begins, in which row below the strip."""

    x: float
    start: float
    row: int
    text: str


def _labels(run: Run, end_s: float) -> list[_Label]:
    """Place each label in the first row where it meets no other."""
    ends: list[float] = []
    labels = []
    for at_s, what in sorted(run.events):
        x = _x(at_s, end_s)
        text = f"{at_s:.1f} s {what}"
        wide = len(text) * _LABEL_WIDTH
        start = max(min(x, _LEFT + _WIDTH - wide), _LEFT)
        row = next((row for row, end in enumerate(ends) if end <= start), len(ends))
        ends[row : row + 1] = [start + wide + 12]
        labels.append(_Label(x, start, row, text))
    return labels


def _events(labels: Sequence[_Label], top: int) -> str:
    """Mark what happened: all lines first, so that no line crosses out a label."""
    foot = top + _STRIP
    lines = [
        f'<line class="event" x1="{label.x:.1f}" y1="{top - 4}" x2="{label.x:.1f}" y2="{foot + 7 + _ROW * label.row}"/>'
        for label in labels
    ]
    texts = [
        f'<text class="label" x="{start:.1f}" y="{foot + _ROW * (row + 1)}">{html.escape(text)}</text>'
        for _, start, row, text in labels
    ]
    return "\n".join((*lines, *texts))


# Colours: blue and vermilion of Okabe and Ito's palette, which people with any colour vision tell apart; what is down
# is also hatched by its failed requests and named in the table, so that nothing rests on colour alone.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
:root {{ --ink: #1b1f24; --soft: #59636e; --line: #d8dee4; --page: #ffffff; --up: #cfe6f5; --tick: #0072b2;
  --down: #d55e00; --cross: #8a3c00; --good: #00663d; --bad: #b23c00; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e6edf3; --soft: #9aa6b2; --line: #30363d; --page: #0d1117; --up: #12344d; --tick: #56b4e9;
    --down: #d55e00; --cross: #ffb27a; --good: #4ccf95; --bad: #ff9a57; }}
}}
@media print {{
  :root {{ --ink: #000000; --soft: #444444; --line: #bbbbbb; --page: #ffffff; --up: #dbe9f3; --tick: #0072b2;
    --down: #d55e00; --cross: #8a3c00; --good: #00663d; --bad: #b23c00; }}
  * {{ -webkit-print-color-adjust: exact; print-color-adjust: exact; }}
  svg, table {{ break-inside: avoid; }}
  @page {{ size: landscape; margin: 14mm; }}
}}
body {{ margin: 2.5rem auto; max-width: 66rem; padding: 0 1.25rem; color: var(--ink); background: var(--page);
  font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }}
h1 {{ font-size: 1.5rem; margin: 0 0 .25rem; }}
p {{ margin: 0 0 1.5rem; color: var(--soft); max-width: 58rem; }}
svg {{ width: 100%; height: auto; display: block; }}
svg text {{ font: 14px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink); }}
svg .name {{ font-weight: 600; font-size: 15px; }}
svg .label {{ font-size: 12.5px; paint-order: stroke; stroke: var(--page); stroke-width: 5px; stroke-linejoin: round; }}
svg .small {{ font-weight: 400; font-size: 12.5px; fill: var(--soft); }}
.up {{ fill: var(--up); }} .down {{ fill: var(--down); }}
.tick {{ stroke: var(--tick); stroke-width: 1; }} .cross {{ stroke: var(--cross); stroke-width: 1; }}
.grid {{ stroke: var(--line); stroke-width: 1; }} .event {{ stroke: var(--ink); stroke-width: 1; }}
.scroll {{ overflow-x: auto; margin: 1.5rem 0; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .45rem .75rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }}
th:first-child {{ text-align: left; padding-left: 0; white-space: normal; }}
thead th {{ color: var(--soft); font-weight: 500; }}
tbody th {{ font-weight: 600; }}
.bad {{ color: var(--bad); font-weight: 600; }} .good {{ color: var(--good); font-weight: 600; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{summary}</p>
{picture}
<div class="scroll">
<table>
<thead><tr><th scope="col">run</th><th scope="col">took</th><th scope="col">down</th><th scope="col">failed</th>
<th scope="col">requests</th><th scope="col">answered</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
<p>Each upright line in a strip is one request: the taller, the slower, against the slowest of its run. Where the strip
is orange, requests failed; it counts as down from the first failed request to the next that was answered.</p>
</body>
</html>
"""
