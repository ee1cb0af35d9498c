"""A look at a host: a short block of what a person has to know, and the facts behind it, a line each."""

from __future__ import annotations

import json
from datetime import datetime, tzinfo
from typing import Any

from rich.text import Text

from backout.render.canvas import LABEL, labelled, text_of, wrapped
from backout.render.effects import counted
from backout.render.screen import Screen

_OFF_S = 2.0
_SHOWN = 12
_MOST_LIMITS = 8
_MOST_CHARS = 300
Fact = tuple[str, str, Any]


def block(summary: dict[str, Any], screen: Screen, zone: tzinfo | None = None) -> str:
    """Draw one host: what it is, how many facts of which kinds, what is new, what ends soon, what was not read."""
    room = screen.width - LABEL
    at = datetime.fromisoformat(summary["at"]).astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
    name, took = screen.visible(summary["host"]), f"  in {summary['took_s']:.1f} s"
    system = ", ".join(filter(None, (summary["system"], summary["kernel"] and f"kernel {summary['kernel']}")))
    lines = [Text.assemble((name, "bold"), f"  {at}", (took, "dim"))]
    for label, text, style in (
        ("System", screen.visible(system), ""),
        ("Facts", _counts(summary["counts"]), ""),
        ("New", _news(summary["news"], zone), ""),
        ("Files", _files(summary["files"]), ""),
        ("Clock", _clock(summary["skew_s"]), "yellow"),
    ):
        if text:
            lines += labelled(label, wrapped(text, room, style))
    ends = [line for one in summary["expiring"] for line in wrapped(_end(one, screen), room, "bold red")]
    limits = [line for limit in summary["limits"][:_MOST_LIMITS] for line in wrapped(_limit(limit, screen), room)]
    more = len(summary["limits"]) - _MOST_LIMITS
    limits += [Text(screen.plain(f"… and {more} more (--json lists all)"), "dim")] if more > 0 else []
    return text_of(
        [*lines, *labelled("Expires", ends)[: len(ends)], *labelled("Limits", limits)[: len(limits)]], screen
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "none"


def _news(news: dict[str, Any] | None, zone: tzinfo | None) -> str:
    if news is None:
        return "this is the first look"
    since = datetime.fromisoformat(news["since"]).astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
    words = [f"{count} {kind} {op}" for kind, ops in news["counts"].items() for op, count in sorted(ops.items())]
    shown = ", ".join(words[:_SHOWN]) + (" and more" if len(words) > _SHOWN else "")
    return f"{shown or 'nothing'}, since {since}"


def _files(files: dict[str, Any]) -> str:
    if not files["seen"]:
        return ""
    known = f", {files['known']} known {files['how']}" if files["known"] else ""
    return f"{counted(files['seen'], 'file')} seen: {files['hashed']} hashed{known}"


def _clock(skew_s: float) -> str:
    if abs(skew_s) <= _OFF_S:
        return ""
    return f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} this machine's"


def _end(one: dict[str, Any], screen: Screen) -> str:
    days = int(abs(one["days"]))
    when = f"ended {counted(days, 'day')} ago" if one["days"] < 0 else f"ends in {counted(days, 'day')}"
    return f"{screen.name(one['path'])} {when} ({screen.visible(one['subject'])})"


def _limit(text: str, screen: Screen) -> str:
    shown = screen.visible(text)
    return shown if len(shown) <= _MOST_CHARS else shown[:_MOST_CHARS] + screen.plain("…")


def row(fact: Fact, screen: Screen) -> str:
    """Draw one fact on a line of its own, whole: it is for grep."""
    kind, subject, value = fact
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{kind}  {screen.name(subject)}  {screen.visible(text)}\n"
