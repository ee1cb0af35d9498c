"""What several hosts answered: what is alike once, under the names of its hosts; then what is odd, and what failed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import Any

from rich.text import Text

from backout.errors import BackoutError
from backout.render import change as alone
from backout.render.canvas import aligned, cut, text_of
from backout.render.error import render_error
from backout.render.obligations import owed
from backout.render.screen import Screen

_NAMED = 2
"""How many hosts a row names before it counts the others."""


def names(hosts: Sequence[str], most: int = _NAMED) -> str:
    """Name hosts: "web1, web2, +36"; one more than `most` is named rather than counted."""
    if len(hosts) <= most + 1:
        return ", ".join(hosts)
    return f"{', '.join(hosts[:most])}, +{len(hosts) - most}"


def log(document: dict[str, Any], screen: Screen, zone: tzinfo | None = None) -> str:
    """Draw a `backout.changes/1` document of several hosts: a change once, with its hosts, and where it stands on each.

    The rows of a change follow each other.
    """
    groups = [list(rows) for _, rows in itertools.groupby(document["changes"], lambda row: row["id"])]
    if not groups:
        return text_of([Text("No change is on record."), *owed(document, screen)], screen)
    heads = aligned([_head(rows, screen, zone) for rows in groups], 0, screen.width)
    lines: list[Text] = []
    for head, rows in zip(heads, groups, strict=True):
        lines += [head, Text("  " + cut(alone.about(rows[0], screen), screen.width - 2, screen.plain("…")))]
        lines += _mixed(rows, screen)
    return text_of([*lines, *owed(document, screen)], screen)


def _head(rows: list[dict[str, Any]], screen: Screen, zone: tzinfo | None) -> list[Text]:
    words = {alone.state_word(row) for row in rows}
    cells = alone.log_row({**rows[0], "environment": names([row["host"] for row in rows])}, screen, zone)
    if len(words) > 1:
        cells[1] = Text("mixed", style="bold red")
    return cells


def _mixed(rows: list[dict[str, Any]], screen: Screen) -> list[Text]:
    """Say where a change stands on which hosts, when it is not the same on all."""
    words: dict[str, list[str]] = {}
    for row in rows:
        words.setdefault(alone.state_word(row), []).append(row["host"])
    if len(words) == 1:
        return []
    return [Text(screen.visible(f"  {word}: {names(hosts)}")) for word, hosts in words.items()]


def show(found: Mapping[str, Any], said: Mapping[str, Any], screen: Screen, zone: tzinfo | None = None) -> str:
    """Draw one change of several hosts: what it did, once for all hosts where that and where it stands are the same.

    `said` is what its command wrote on each, in bytes, where that is asked for.
    """
    parts: dict[tuple[Any, ...], list[str]] = {}
    for host, shown in found.items():
        if not isinstance(shown, BackoutError):
            row, effects = shown
            key = (alone.state_word(row), row["expired"], effects and effects["digest"], said.get(host))
            parts.setdefault(key, []).append(host)
    drawn = []
    for hosts_ in sorted(parts.values(), key=len, reverse=True):
        row, effects = found[hosts_[0]]
        where = names(hosts_, 5)
        text = alone.show({**row, "host": where}, effects and {**effects, "host": where}, screen, zone=zone)
        output = said.get(hosts_[0], b"")
        drawn.append(text + (output.decode(errors="replace") if isinstance(output, bytes) else ""))
    failed = {host: shown for host, shown in found.items() if isinstance(shown, BackoutError)}
    return "\n".join([*drawn, *([failures(failed, screen)] if failed else [])])


def hosts(document: dict[str, Any], drawing: str, screen: Screen) -> str:
    """Draw a `backout.hosts/1` document, each host's own by the function of that name in `render.change`."""
    alike: dict[str, list[str]] = {}
    for row in document["hosts"]:
        if row["document"] is not None:
            alike.setdefault(getattr(alone, drawing)(row["document"], screen), []).append(row["host"])
    parts = [_under(names_, text, screen) for text, names_ in sorted(alike.items(), key=lambda item: -len(item[1]))]
    failed = [(row["host"], row["error"]) for row in document["hosts"] if row["error"] is not None]
    return "\n".join([*parts, *([_failed(failed, screen)] if failed else [])])


def failures(errors: Mapping[str, BackoutError], screen: Screen) -> str:
    """Draw what went wrong on hosts, each by name; what is the same on several is said once."""
    return _failed([(host, error.document()) for host, error in errors.items()], screen)


def _failed(rows: Iterable[tuple[str, dict[str, Any]]], screen: Screen) -> str:
    alike: dict[str, list[str]] = {}
    for host, error in rows:
        alike.setdefault(render_error({**error, "what": _without(host, error["what"])}, screen), []).append(host)
    return "\n".join(_under(names_, text, screen) for text, names_ in alike.items())


def _without(host: str, what: str) -> str:
    """Leave the host's name out of what stands below it, so that it is the same on all."""
    rest = what.removeprefix(f"{host}: ")
    return rest[:1].upper() + rest[1:]


def _under(hosts_: list[str], text: str, screen: Screen) -> str:
    """Put what hosts have in common under their names."""
    head = text_of([Text(cut(screen.visible(names(hosts_, 5)), screen.width, screen.plain("…")), style="bold")], screen)
    return head + "".join(f"  {line}\n" if line else "\n" for line in text.splitlines())
