"""The field `compared` of an effects document: how this differs from the same command where it was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from rich.text import Text

from backout.render.canvas import LABEL, cut, labelled, wrapped
from backout.render.effects import REACH, counted, value_text
from backout.render.screen import Screen
from backout.render.when import when_text

_NOUNS = {
    "service": ("service", ""),
    "debian-package": ("Debian package", ""),
    "python-package": ("Python package", ""),
    "user": ("user", ""),
    "group": ("group", ""),
    "cron": ("cron entry", "cron entries"),
    "config": ("setting", ""),
    "file": ("file", ""),
}
_MOST = 12
_SINCE = {"undone": ", taken back since", "refused": ", refused there", "backed out": ", backed out there"}


def comparison(document: dict[str, Any], screen: Screen, *, full: bool, zone: tzinfo | None = None) -> list[Text]:
    """Say in a sentence what was done there and what would be here, then what is on one side alone."""
    if "compared" not in document:
        return []
    width, compared = screen.width - LABEL, document["compared"]
    told = any(reason["next"] == compared["next"] for reason in document["verdict"]["reasons"])
    sentences = [_sentence(compared, zone, "" if told else f" To do so: {compared['next']}")]
    if full:
        sentences += [
            f"{rule['count']} meant to differ, {rule['what']}: {rule['why']}" for rule in compared["excepted"]
        ]
    lines = [line for sentence in sentences for line in wrapped(screen.visible(sentence), width)]
    for side, word in (("only_here", "Only here"), ("only_there", "Only there")):
        if compared[side]:
            lines += (_listed if full else _named)(word, compared[side], screen)
    return labelled("Compared", lines)


def _sentence(compared: dict[str, Any], zone: tzinfo | None, next: str) -> str:
    name = compared["environment"]
    as_of = f", as of {when_text(compared['as_of'], zone)}" if compared["as_of"] else ""
    if compared["change"] is None:
        known = "" if compared["reached"] else ", as far as is known"
        return f"Not run on {name}{known}.{next}"
    here = counts_text(compared["here"])
    same = not compared["only_here"] and not compared["only_there"]
    when = f"{compared['change']}, {when_text(compared['at'], zone)}{_SINCE.get(compared['state'], '')}"
    there = counts_text(compared["there"])
    here = "the same" if same and here == there else here
    return f"On {name} ({when}{as_of}): {there}; here: {here}{_excepted(compared)}."


def counts_text(counts: Mapping[str, int]) -> str:
    """Give numbers of effects in words: 1 file and 45 Python packages."""
    known = sorted(counts, key=lambda kind: REACH.index(kind) if kind in REACH else len(REACH), reverse=True)
    words = [counted(counts[kind], *_NOUNS.get(kind, (kind, kind))) for kind in known]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "nothing"


def _excepted(compared: dict[str, Any]) -> str:
    count = sum(rule["count"] for rule in compared["excepted"])
    return f", {count} of them meant to differ" if count else ""


def _named(word: str, rows: Sequence[dict[str, Any]], screen: Screen) -> list[Text]:
    """Name as many as fit into a line, and count the others."""
    width, names = screen.width - LABEL - len(word) - 2, [_text(row, screen) for row in rows[:_MOST]]
    for count in range(len(names), 0, -1):
        more = f", {len(rows) - count} more (--full)" if count < len(rows) else ""
        told = ", ".join(names[:count])
        if len(told + more) <= width or count == 1:
            return [Text(f"{word}: {cut(told, width - len(more), screen.plain('…'))}{more}")]
    return []


def _listed(word: str, rows: Sequence[dict[str, Any]], screen: Screen) -> list[Text]:
    return [Text(f"{word}:"), *(Text(f"  {_text(row, screen)}") for row in rows)]


def _text(row: dict[str, Any], screen: Screen) -> str:
    """Give one difference in a few words."""
    kind, before, after = row["kind"], row["before"], row["after"]
    name = screen.name(row["subject"].rpartition(":")[2] if kind == "python-package" else row["subject"])
    if isinstance(after, dict) and after.get("requests"):
        return f"{name} {screen.visible(', '.join(after['requests']))}"
    if after is None:
        return f"{name} removed"
    plain = [value for value in (before, after) if isinstance(value, str)]
    if kind == "file" or not plain:
        return name
    return f"{name} {screen.plain(' → ').join(value_text(value, screen) for value in plain)}"
