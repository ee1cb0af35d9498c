"""A change of several hosts as text: who is alike, who differs and in what, and what became of each host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from backout.render.canvas import LABEL, cut, labelled, text_of, wrapped
from backout.render.effects import counted
from backout.render.report import SHORT, Wish, report
from backout.render.screen import Screen

_NAMED = 4
_LEAST_HEIGHT = 14
_INDENT = 2
_STYLES = {"kept": "green", "standing": "green", "untouched": "dim", "backed out": "bold yellow"}


def rehearsals(document: dict[str, Any], screen: Screen, wish: Wish = SHORT) -> str:
    """Draw what was rehearsed: the groups, how odd hosts differ, who is left out, and the report of the first group."""
    head = _hosts(document, screen)
    if not document["groups"]:
        return text_of(head, screen)
    first = document["groups"][0]
    whole = {
        **{name: document[name] for name in ("environment", "command")},
        **first,
        "host": first["hosts"][0] if len(first["hosts"]) == 1 else counted(len(first["hosts"]), "host"),
        "change": None,
    }
    left = screen._replace(height=max(screen.height - len(head) - 1, _LEAST_HEIGHT))
    return text_of([*head, Text()], screen) + report(whole, left, wish)


def outcome(document: dict[str, Any], screen: Screen) -> str:
    """Draw what became of a rollout: its waves, every host on which it is not kept, and how to go on."""
    rollout = document["rollout"]
    rows = rollout["hosts"]
    counts = Counter(row["state"] for row in rows)
    told = screen.plain(" · ").join(f"{counted(count, 'host')} {state}" for state, count in counts.items())
    lines = labelled("Rollout", [Text(rollout["id"], "bold"), *wrapped(told, screen.width - LABEL)])
    waves = [_wave(number, wave, screen) for number, wave in enumerate(rollout["waves"], 1)]
    lines += labelled("Waves", waves)
    by_what: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["state"] not in ("kept", "standing"):
            by_what.setdefault((row["state"], row["what"]), []).append(row)
    for (state, what), members in by_what.items():
        hosts = names([row["host"] for row in members], screen)
        lines += _said(f"{hosts} {state}: ", what, screen, _STYLES.get(state, "bold red"))
    return text_of([*lines, *_next(document, screen)], screen)


def names(hosts: Sequence[str], screen: Screen) -> str:
    """Name a few hosts; of more the first ones, and how many more there are."""
    shown = [screen.visible(host) for host in hosts[:_NAMED]]
    more = len(hosts) - _NAMED
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _hosts(document: dict[str, Any], screen: Screen) -> list[Text]:
    groups = document["groups"]
    lines: list[Text] = []
    for number, group in enumerate(groups):
        hosts = names(group["hosts"], screen)
        count = len(group["hosts"])
        if number == 0:
            told = f"{hosts} alone" if count == 1 else f"{count} alike: {hosts}"
            lines.append(Text(told, "bold"))
        else:
            lines.append(Text(f"{hosts} {'differs' if count == 1 else 'differ'}:", "bold red"))
            lines += difference(groups[0], group, screen)
    left_out: dict[str, list[str]] = {}
    for row in document["failed"]:
        left_out.setdefault(row["what"], []).append(row["host"])
    for what, failed in left_out.items():
        lines += _said(f"{names(failed, screen)} left out: ", what, screen, "bold red", LABEL)
    return labelled("Hosts", lines)


def _said(lead: str, what: str, screen: Screen, style: str, room: int = 0) -> list[Text]:
    first, *rest = wrapped(lead + screen.visible(what), screen.width - room - _INDENT, most=3, more=screen.plain("…"))
    first.stylize(style, 0, min(len(lead), len(first)))
    return [first, *(Text.assemble("  ", line) for line in rest)]


def difference(meant: dict[str, Any], other: dict[str, Any], screen: Screen) -> list[Text]:
    """Say what the command does on other hosts alone, what it does not do there, and what it does otherwise."""
    here, there = _by_name(meant), _by_name(other)
    parts = {
        "only there": [name for name in there if name not in here],
        "not there": [name for name in here if name not in there],
        "otherwise": [name for name in there if name in here and _essence(there[name]) != _essence(here[name])],
    }
    return [_names_of(label, found, screen) for label, found in parts.items() if found]


def _by_name(group: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{effect['kind']}:{effect['subject']}": effect for effect in group["effects"]}


def _essence(effect: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(effect[name] for name in ("op", "before", "after", "content"))


def _names_of(label: str, found: Sequence[str], screen: Screen) -> Text:
    more = screen.plain("…")
    count = f" ({len(found)})" if len(found) > 1 else ""
    told = ", ".join(screen.name(name) for name in found)
    lead = f"  {label}{count}: "
    return Text(lead + cut(told, max(screen.width - LABEL - len(lead), 20), more))


def _wave(number: int, wave: Mapping[str, Any], screen: Screen) -> Text:
    state = wave["state"]
    told = f"{number}  {names(wave['hosts'], screen)}"
    return Text.assemble(cut(told, screen.width - LABEL - 16, screen.plain("…")), "  ", (state, _STYLES[state]))


def _next(document: dict[str, Any], screen: Screen) -> list[Text]:
    rows, rollout = document["rollout"]["hosts"], document["rollout"]["id"]
    environment = document["environment"]
    lines = list(dict.fromkeys(screen.visible(row["next"]) for row in rows if row["state"] == "unknown"))
    if any(row["state"] not in ("kept", "standing") for row in rows):
        lines.append(f"go on:     backout run -e {environment} --resume {rollout}")
    if any(row["state"] == "kept" for row in rows):
        lines.append(f"take back: backout back -e {environment} {rollout}")
    return labelled("Next", [Text(line) for line in lines])
