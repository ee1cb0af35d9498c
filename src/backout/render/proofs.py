"""Draws `backout.candidates/1` and `backout.proofs/1`: what would prove, what it would have cost, and what holds."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from backout.render.canvas import LABEL, cut, labelled, text_of, wrapped
from backout.render.change import command_text
from backout.render.screen import Screen

_STYLES = {"held": "bold green", "red": "bold red", "not proven": "bold red", "not told": "yellow"}
_TOLD = {"held": "holds", "red": "does not hold any more", "not proven": "does not prove", "not told": "cannot be told"}


def candidates(document: dict[str, Any], screen: Screen) -> str:
    """Draw a `backout.candidates/1` document: what it is held between, what would prove, and what was left out."""
    if document["added"] is not None or document["proof"] is not None:
        return _added(document, screen)
    lines = labelled("Incident", [Text(screen.visible(document["incident"]), "bold")])
    lines += labelled("Bad", [_change(document["bad"], document["bad"]["environment"] or "", screen)])
    good = document["good"]
    told = [_change(good, good["how"], screen)] if good else wrapped("none: name one with --good ID", screen.width)
    lines += labelled("Good", told)
    if document["narrower"]:
        lines += _block(
            "Narrower",
            f"{document['narrower']} finds the part that broke it; what is about that part alone comes first then.",
            screen,
        )
    for row in document["candidates"]:
        lines += [Text(), *_candidate(row, screen)]
    if not document["candidates"]:
        lines += [Text(), *_block("", "Nothing that is known here would have refused it.", screen, "yellow")]
    lines += _left_out(document, screen)
    first = next((row["number"] for row in document["candidates"]), None)
    way = (
        f"backout review guard --add {first}" if first else document["narrower"] or "backout guard add RULE --why TEXT"
    )
    lines += [Text(), *labelled("Next", [Text(way)]), *_unreached(document, screen)]
    return text_of(lines, screen)


def _left_out(document: dict[str, Any], screen: Screen) -> list[Text]:
    """Name what does not prove, those for the same reason together."""
    by_reason: dict[str, list[str]] = {}
    for row in document["left_out"]:
        by_reason.setdefault(row["why"], []).append(row["name"])
    lines: list[Text] = []
    for why, names in by_reason.items():
        lines += [
            *([] if lines else [Text()]),
            *_block("" if lines else "Left out", f"{', '.join(names)}: {why}", screen),
        ]
    return lines


def _change(row: dict[str, Any], how: str, screen: Screen) -> Text:
    name = screen.visible(row["change"])
    room = screen.width - LABEL - len(name) - 2
    command = command_text(row["command"])
    told = cut(screen.visible(f"{how}: {command}" if how else command), room, screen.plain("…"))
    return Text.assemble((name, "bold"), f"  {told}")


def _candidate(row: dict[str, Any], screen: Screen) -> list[Text]:
    what = f"check {row['name']}" if row["sort"] == "check" else row["name"]
    rule = "" if row["rule"] in (None, row["name"]) else f"  {row['rule']}"
    there = "  (in backout.toml already)" * row["there"]
    head = Text.assemble((screen.visible(what), "bold"), screen.visible(rule), (there, "dim"))
    table = row["table"] or {}
    own = {key: value for key, value in table.items() if key not in _OF_EVERY_GUARD}
    settings = "; ".join(f"{key} {_setting(value)}" for key, value in own.items())
    lines = labelled(str(row["number"]), [head])
    for text, style in ((settings, ""), (row["why"], "dim"), (row["cost"], ""), (row["says"], "italic")):
        lines += _block("", text, screen, style) if text else []
    return lines


_OF_EVERY_GUARD = ("name", "rule", "why", "environments", "says", "owner", "review_by", "incident", "override")


def _setting(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _added(document: dict[str, Any], screen: Screen) -> str:
    added, row = document["added"], document["proof"]
    lines: list[Text] = []
    if added is not None:
        lines = [Text(screen.visible(f"Added to {added['file']}:")), Text()]
        lines += [Text(screen.visible(line)) for line in added["text"].strip().splitlines()]
        lines.append(Text())
    lines += _proof(row, screen)
    if row["result"] == "held":
        say = f"In its action say: - proof: {row['sort']} {row['name']}"
        lines += [Text(), *_block("Next", screen.visible(f"backout review. {say}"), screen)]
    return text_of([*lines, *_unreached(document, screen)], screen)


def proofs(document: dict[str, Any], screen: Screen) -> str:
    """Draw a `backout.proofs/1` document: each proof, whether it holds, and the way on where it does not."""
    lines: list[Text] = []
    for row in document["proofs"]:
        lines += [*([Text()] if lines else []), *_proof(row, screen, with_incident=document["incident"] is None)]
    if not document["proofs"]:
        lines = [Text("There is no proof on record."), *labelled("Next", [Text("backout review guard")])]
    return text_of([*lines, *_unreached(document, screen)], screen)


def _proof(row: dict[str, Any], screen: Screen, *, with_incident: bool = True) -> list[Text]:
    head = Text.assemble((screen.visible(row["name"]), "bold"), "  ", (_TOLD[row["result"]], _STYLES[row["result"]]))
    if with_incident:
        head.append(screen.visible(f"  {row['incident']}"), "dim")
    lines = labelled(row["sort"].title(), [head])
    lines += _block("", row["why"], screen)
    if row["cost"] and row["result"] == "held":
        lines += _block("", row["cost"], screen)
    if row["result"] == "not told" and row["held_at"]:
        lines += _block("", f"It held when that could be told last, on {row['held_at'][:10]}, and counts.", screen)
    if row["result"] == "red" and not row["needed"]:
        lines += _block(
            "", "Nothing stands on it any more: no action names it, or one of other name proves now.", screen
        )
    if row["result"] != "held" and row["needed"] and row["next"]:
        lines += _block("Next", row["next"], screen)
    return lines


def _block(label: str, text: str, screen: Screen, style: str = "") -> list[Text]:
    return labelled(label, wrapped(screen.visible(text), screen.width - LABEL, style))


def _unreached(document: dict[str, Any], screen: Screen) -> list[Text]:
    lines: list[Text] = []
    for row in document["unreached"]:
        text = f"{row['host']} was not reached: of its changes the journal told what it has. {row['what']}"
        lines += [Text(), *wrapped(screen.visible(text), screen.width, "yellow")]
    return lines
