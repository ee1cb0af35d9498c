"""A look at a host: a short block of what a person has to know, and the facts behind it, a line each."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime, tzinfo
from typing import Any

from rich.text import Text

from backout.model import shape
from backout.render.canvas import LABEL, labelled, text_of, wrapped
from backout.render.effects import counted
from backout.render.screen import Screen, is_plain
from backout.render.when import when_text

_OFF_S = 2.0
_SOON_DAYS = 30
_SHOWN = 12
_CERTIFICATE = shape.fields({"subject": shape.text, "not_after": shape.like(r"\d{4}-[\d:T-]+Z")})
_MOST_LIMITS = 8
_MOST_CHARS = 300
Fact = tuple[str, str, Any]
_ENCODER = json.JSONEncoder(ensure_ascii=False)
"""Made once: json.dumps would make one for each of half a million rows."""


def block(
    document: dict[str, Any],
    news: dict[str, Any] | None,
    screen: Screen,
    zone: tzinfo | None = None,
    *,
    kept: bool = True,
) -> str:
    """Draw a `backout.facts/1` document: what the host is, how many facts, what ends soon, what was not read.

    `news` is what is new since the look before: `{since, counts}`, with counts by kind and operation; None at first.
    A look that is not `kept` has none.
    """
    room = screen.width - LABEL
    named = {f"{kind}.{subject}": str(value) for kind, subject, value in document["facts"] if kind in ("os", "kernel")}
    system = [named.get("os.PRETTY_NAME", ""), f"kernel {named['kernel.release']}" if "kernel.release" in named else ""]
    name, took = screen.visible(document["host"]), f"  in {document['took_s']:.1f} s"
    lines = [Text.assemble((name, "bold"), f"  {when_text(document['at'], zone)}", (took, "dim"))]
    for label, text, style in (
        ("System", screen.visible(", ".join(filter(None, system))), ""),
        ("Facts", _counts(document["counts"]), ""),
        ("New", _news(news, zone) if kept else "not kept: only some kinds were looked at", ""),
        ("Files", _files(document["files"]), ""),
        ("Clock", _clock(document["skew_s"]), "yellow"),
    ):
        if text:
            lines += labelled(label, wrapped(text, room, style))
    ends = [line for text in _ends(document, screen) for line in wrapped(text, room, "bold red")]
    limits = [line for limit in document["limits"][:_MOST_LIMITS] for line in wrapped(_limit(limit, screen), room)]
    more = len(document["limits"]) - _MOST_LIMITS
    limits += [Text(screen.plain(f"… and {more} more (--json lists all)"), "dim")] if more > 0 else []
    for label, rest in (("Expires", ends), ("Limits", limits)):
        lines += labelled(label, rest) if rest else []
    return text_of(lines, screen)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "none"


def _news(news: dict[str, Any] | None, zone: tzinfo | None) -> str:
    if news is None:
        return "this is the first look"
    words = [f"{count} {kind} {op}" for kind, ops in news["counts"].items() for op, count in sorted(ops.items())]
    shown = ", ".join(words[:_SHOWN]) + (" and more" if len(words) > _SHOWN else "")
    return f"{shown or 'nothing'}, since {when_text(news['since'], zone)}"


def _files(files: dict[str, Any]) -> str:
    if not files["seen"]:
        return ""
    known = f", {files['known']} known {files['how']}" if files["known"] else ""
    return f"{counted(files['seen'], 'file')} seen: {files['hashed']} hashed{known}"


def _clock(skew_s: float) -> str:
    if abs(skew_s) <= _OFF_S:
        return ""
    return f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} this machine's"


def _ends(document: dict[str, Any], screen: Screen) -> list[str]:
    """Name the certificates that end within 30 days of the look, or have ended; soonest first."""
    found = []
    for kind, path, value in document["facts"]:
        if kind == "certificate" and _CERTIFICATE(value):
            with suppress(ValueError):  # a date that no calendar has: the fact tells it as it stands
                days = (datetime.fromisoformat(value["not_after"]) - datetime.fromisoformat(document["at"])).days
                found.append((days, screen.name(path), screen.visible(value["subject"])))
    return [f"{path} {_days(days)} ({subject})" for days, path, subject in sorted(found) if days < _SOON_DAYS]


def _days(days: int) -> str:
    return f"ended {counted(-days, 'day')} ago" if days < 0 else f"ends in {counted(days, 'day')}"


def _limit(text: str, screen: Screen) -> str:
    shown = screen.visible(text)
    return shown if len(shown) <= _MOST_CHARS else shown[:_MOST_CHARS] + screen.plain("…")


def row(fact: Fact, screen: Screen) -> str:
    """Draw one fact on a line of its own, whole: it is for grep."""
    kind, subject, value = fact
    text = value if isinstance(value, str) else _ENCODER.encode(value)
    line = f"{kind}  {subject}  {text}\n"
    if is_plain(line[:-1]) and subject == subject.strip(" "):  # of nearly all
        return line
    return f"{kind}  {screen.name(subject)}  {screen.visible(text)}\n"
