"""An incident as one HTML page that needs nothing else: everything escaped, no script, nothing from elsewhere."""

from __future__ import annotations

import html

from backout.render.incident_story import Line, Section, Story
from backout.render.screen import Screen

_SCREEN = Screen()
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ --ink: #1b1f24; --soft: #59636e; --line: #d8dee4; --page: #ffffff; --code: #f3f5f7; --mark: #0072b2; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e6edf3; --soft: #9aa6b2; --line: #30363d; --page: #0d1117; --code: #161b22; --mark: #56b4e9; }}
}}
body {{ margin: 2.5rem auto; max-width: 60rem; padding: 0 1.25rem; color: var(--ink); background: var(--page);
  font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.2rem; margin-top: 2rem; }} h3 {{ font-size: 1rem; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; }} dt {{ color: var(--soft); }}
dd {{ margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }}
ol {{ list-style: none; padding: 0; }} li {{ border-top: 1px solid var(--line); padding: .4rem 0; }}
li.pinned {{ border-left: 4px solid var(--mark); padding-left: .6rem; }}
time {{ font-variant-numeric: tabular-nums; font-weight: 600; margin-right: .6rem; }}
.head {{ color: var(--soft); }} p {{ margin: .1rem 0; overflow-wrap: anywhere; white-space: pre-wrap; }}
p.remark {{ color: var(--soft); font-size: .9rem; }}
pre {{ background: var(--code); padding: .6rem; overflow-x: auto;
  font: 13px/1.4 ui-monospace, "DejaVu Sans Mono", monospace; }}
@media print {{ pre {{ white-space: pre-wrap; }} li {{ break-inside: avoid; }} }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def page(story: Story, picture: str = "") -> str:
    """Write the page; `picture` is the timeline as SVG of ours, set before the timeline."""
    parts = []
    for section in story.sections:
        parts.append(_section(section))
        if section.title == "Timeline" and picture:
            parts.append(picture)
    return _PAGE.format(title=_text(story.title), body="\n".join(parts))


def _section(section: Section) -> str:
    parts = [f"<h{section.level}>{_text(section.title)}</h{section.level}>"]
    if section.facts:
        rows = (f"<dt>{_text(label)}</dt><dd>{_text(text)}</dd>" for label, text in section.facts)
        parts.append(f"<dl>{''.join(rows)}</dl>")
    if section.lines:
        parts.append("<ol>\n" + "\n".join(map(_line, section.lines)) + "\n</ol>")
    return "\n".join(parts)


def _line(line: Line) -> str:
    pinned = ' class="pinned"' if line.pinned else ""
    head = f'<time>{_text(line.time)}</time><span class="head">{_text(line.head)}</span>'
    remarks = "".join(f'<p class="remark">{_text(remark)}</p>' for remark in line.remarks)
    code = f"<pre>{_text(line.code)}</pre>" if line.code else ""
    return f"<li{pinned}>{head}<p>{_text(line.text)}</p>{remarks}{code}</li>"


def _text(text: str) -> str:
    """Escape a text, its lines kept; what no reader would see as itself is written out."""
    return html.escape("\n".join(map(_SCREEN.visible, text.expandtabs().split("\n"))))
