"""Draws `backout.guards/1` and `backout.guard-test/1`: the guards, what is wrong with them, their worth and price."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

from rich.text import Text

from backout.render.canvas import LABEL, aligned, cut, labelled, text_of, wrapped
from backout.render.change import command_text
from backout.render.effects import counted
from backout.render.screen import Screen
from backout.render.when import when_text

_MOST = 5
"""So many refused changes of a sort are named; `--json` has all."""
_NEXT = labelled("Next", [Text("backout guard add RULE --why TEXT")])


def guards(document: dict[str, Any], screen: Screen) -> str:
    """Draw a `backout.guards/1` document: each guard with all that is said of it, what is wrong with it in red."""
    if not document["guards"]:
        where = screen.visible(document["config"] or "There is no backout.toml, so it")
        return text_of(
            [Text(f"{where} has no guard."), *labelled("Next", [Text("backout guard add RULE --why TEXT")])], screen
        )
    lines: list[Text] = []
    for row in document["guards"]:
        lines += [*([Text()] if lines else []), *_guard(row, screen)]
    return text_of(lines, screen)


def _guard(row: dict[str, Any], screen: Screen) -> list[Text]:
    dot = screen.plain(" · ")
    where = ", ".join(row["environments"]) or "every environment"
    rule = "" if row["name"] == row["rule"] else f"{row['rule']}{dot}"
    facts = [
        ("Why", row["why"], ""),
        ("Says", row["says"], ""),
        ("Settings", dot.join(f"{key} {_setting(value)}" for key, value in row["settings"].items()), ""),
        ("Owner", row["owner"], ""),
        ("Review by", row["review_by"], ""),
        ("Incident", row["incident"], ""),
        ("Override", f"--override {screen.word(row['name'])} --why TEXT passes it" if row["override"] else "", ""),
        *(("Wrong", problem, "bold red") for problem in row["problems"]),
    ]
    head = Text.assemble((screen.visible(row["name"]), "bold"), f"  {screen.visible(rule + where)}")
    return [*labelled("Guard", [head]), *_facts(facts, screen)]


def _facts(facts: Sequence[tuple[str, str | None, str]], screen: Screen) -> list[Text]:
    room = screen.width - LABEL
    told = [(label, wrapped(screen.visible(text), room, style)) for label, text, style in facts if text]
    return [line for label, lines in told for line in labelled(label, lines)]


def _setting(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def guard_test(document: dict[str, Any], screen: Screen, zone: tzinfo | None = None) -> str:
    """Draw a `backout.guard-test/1` document: guard by guard what it would have refused, and whether that did harm."""
    lines = [] if document["guards"] else [Text("There is no guard to be replayed."), *_NEXT]
    for row in document["guards"]:
        lines += [*([Text()] if lines else []), *_tested(row, screen, zone)]
    for row in document["unreached"]:
        text = f"{row['host']} was not reached: of its changes the journal told what it has. {row['what']}"
        lines += [Text(), *wrapped(screen.visible(text), screen.width, "yellow")]
    return text_of(lines, screen)


def _tested(row: dict[str, Any], screen: Screen, zone: tzinfo | None) -> list[Text]:
    harmful = [change for change in row["refused"] if change["harm"] is not None]
    rest = [change for change in row["refused"] if change["harm"] is None]
    lines = labelled("Guard", [Text(screen.visible(row["name"]), "bold")])
    lines += _facts([("In short", row["told"], "")], screen)
    for label, changes in (
        ("Worth", harmful),
        ("Price", [change for change in rest if not change["refused_anyway"]]),
        ("Anyway", [change for change in rest if change["refused_anyway"]]),
    ):
        lines += labelled(label, _changes(changes, screen, zone)) if changes else []
    told = [f"{counted(len(missing['changes']), 'change')}: {missing['why']}" for missing in row["not_judged"]]
    facts = [("Not judged" if number == 0 else "", text, "") for number, text in enumerate(told)]
    return [*lines, *_facts(facts, screen)]


def _changes(changes: Sequence[dict[str, Any]], screen: Screen, zone: tzinfo | None) -> list[Text]:
    """Give three lines for each of the first few: which, its command, and why it would have been refused."""
    shown = changes if len(changes) <= _MOST + 1 else changes[:_MOST]
    room = screen.width - LABEL
    heads = aligned([_head(change, screen, zone) for change in shown], 0, room)
    lines: list[Text] = []
    for head, change in zip(heads, shown, strict=True):
        command = cut(screen.visible(command_text(change["command"])), room - 2, screen.plain("…"))
        reason = cut(screen.visible(change["reason"]), room - 2, screen.plain("…"))
        lines += [head, Text(f"  {command}"), Text(f"  {reason}", "dim")]
    if len(shown) < len(changes):
        lines.append(Text(screen.plain(f"… and {len(changes) - len(shown)} more (--json)"), "dim"))
    return lines


def _head(change: dict[str, Any], screen: Screen, zone: tzinfo | None) -> list[Text]:
    return [
        Text(screen.visible(change["change"]), "bold"),
        *([Text(change["harm"], "bold red")] if change["harm"] else []),
        Text(when_text(change["at"], zone), "dim"),
        Text(screen.visible(change["environment"] or ", ".join(change["hosts"]))),
    ]
