"""Draws `backout.tell/1`: what would be sent, with doubtful words marked, and what became of each delivery."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

from rich.text import Text

from backout.render.canvas import LABEL, cut, labelled, text_of, wrapped
from backout.render.screen import Screen
from backout.render.when import when_text

_COLORS = {"sent": "green", "unknown": "bold yellow", "failed": "bold red", "given up": "bold red", "waiting": "yellow"}


def preview(document: dict[str, Any], screen: Screen) -> str:
    """Draw notices as they would go out: to whom, the subject, the text, and why some words should not be in it."""
    lines: list[Text] = []
    for row in document["notices"]:
        lines += [*([Text()] if lines else []), *_notice(row, screen)]
    return text_of(lines, screen)


def outcome(document: dict[str, Any], screen: Screen, zone: tzinfo | None = None) -> str:
    """Draw what became of each delivery; what did not arrive is loud, and says what to do."""
    lines: list[Text] = []
    for row in document["notices"]:
        subject = cut(
            screen.visible(row["subject"]), screen.width - LABEL - len(row["audience"]) - 2, screen.plain("…")
        )
        head = Text.assemble((screen.visible(row["audience"]), "bold"), "  ", subject)
        lines += [*([Text()] if lines else []), *labelled("Notice", [head])]
        for place in row["deliveries"]:
            lines += _delivery(place, screen, zone)
    return text_of(lines or [Text("Nothing waits to be sent.")], screen)


def delivery(place: dict[str, Any], screen: Screen, zone: tzinfo | None = None) -> str:
    """Draw the result of one attempt, as it comes."""
    return text_of(_delivery(place, screen, zone), screen)


def _notice(row: dict[str, Any], screen: Screen) -> list[Text]:
    room = screen.width - LABEL
    targets = [Text(screen.visible(place["target"])) for place in row["deliveries"]]
    to = [Text(screen.visible(row["audience"]), "bold"), *targets]
    lines = [*labelled("To", to), *labelled("Subject", wrapped(screen.visible(row["subject"]), room, "bold"))]
    lines += labelled("Text", _marked(row, screen))
    for doubt in row["doubtful"]:
        words = screen.visible(f'"{doubt["words"]}" is {doubt["why"]}.')
        lines += labelled("Doubtful", wrapped(words, room, "bold yellow"))
    return lines


def _marked(row: dict[str, Any], screen: Screen) -> list[Text]:
    """Give the text line by line, with what is doubtful in it marked; on a screen without colour in stars."""
    plain, at, marked = row["plain"], 0, ""
    for doubt in row["doubtful"]:
        if doubt["start"] >= at:
            marked += plain[at : doubt["start"]] + f"*{plain[doubt['start'] : doubt['end']]}*"
            at = doubt["end"]
    told = (marked + plain[at:]).strip().split("\n")
    return [line for text in told for line in wrapped(screen.visible(text), screen.width - LABEL, "") or [Text()]]


def _delivery(place: dict[str, Any], screen: Screen, zone: tzinfo | None) -> list[Text]:
    state, room = place["state"], screen.width - LABEL
    word = state if state == "sent" else state.upper()
    told = [Text.assemble((word, _COLORS.get(state, "")), "  ", (screen.visible(place["target"]), "bold"))]
    if state != "sent":
        told += wrapped(screen.visible(place["reply"]), room) if place["reply"] else []
        sentence, commands = _ways(place, zone)
        told += wrapped(sentence, room) if sentence else []
        told += [Text(command, "bold") for command in commands]
    return labelled("", told)


def _ways(place: dict[str, Any], zone: tzinfo | None) -> tuple[str, Sequence[str]]:
    """Say what comes of a delivery that is not known to be there, and the commands for it."""
    state, name = place["state"], place["id"]
    if place["overtaken"]:
        return "A later word is there, or on its way: this one is not sent any more.", ()
    if state == "unknown":
        sentence = "It may be there. Ask them, then say that it is, or send it again:"
        return sentence, (f"backout tell --sent {name}", f"backout tell --again {name}")
    if place["retry_at"] is not None:
        return f"It is tried again by the next command from {when_text(place['retry_at'], zone)} on, or by:", (
            "backout tell --retry",
        )
    if state in ("failed", "given up"):
        again = (f"backout tell --again {name}",) if name else ()
        return "It is not tried again by itself. Tell them in another way, or:", again
    return "", ()
