"""Draws `backout.split/1`: which part of a change breaks which check, and what becomes of the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from backout.model.signature import telling
from backout.render.canvas import LABEL, cut, labelled, text_of, wrapped
from backout.render.compared import counts_text
from backout.render.effects import counted, value_text
from backout.render.report import duration_text
from backout.render.screen import Screen

_MOST = 8
"""So many atoms of a part are named; --json lists all."""
_RAISED = re.compile(r"(?:\w+\.)*\w+(?:Error|Exception): (?=\S)")
"""How Python begins the last line of a traceback: which kind of exception it was says less than its words."""
_STYLES = {"healthy": "green", "unhealthy": "bold red", "not_run": "dim"}


def split(document: dict[str, Any], screen: Screen, next_command: str = "") -> str:
    """Draw what was found: the answer first, then the rest and its next command, then how it was found."""
    width = screen.width - LABEL
    lines = [line for part in document["parts"] for line in _answer(part, screen)]
    for flaky in document["flaky"]:
        lines += _flaky(flaky, screen)
    facts = [document["change"], document["environment"] or "", document["host"]]
    lines += [Text(), *labelled("Change", wrapped(_dotted(facts, screen), width))]
    lines += labelled("Rest", _rest(document, screen)) if document["parts"] else []
    unresolved = document["unresolved"]
    made = f"{counted(document['trials'], 'trial')} in {duration_text(document['duration_s'])}"
    tried = [made, f"{unresolved} broke something else" if unresolved else ""]
    lines += labelled("Tried", wrapped(_dotted(tried, screen), width))
    limits = [line for limit in document["limits"] for line in wrapped(screen.visible(limit), width)]
    lines += labelled("Limits", limits) if limits else []
    lines += labelled("Next", [Text(screen.visible(next_command), style="bold")]) if next_command else []
    return text_of(lines, screen)


def _dotted(facts: Sequence[str], screen: Screen) -> str:
    return screen.visible(screen.plain(" · ").join(fact for fact in facts if fact))


def _answer(part: Mapping[str, Any], screen: Screen) -> list[Text]:
    """Give the sentence that people came for: what breaks which check, and what that says."""
    atoms = part["atoms"]
    told = _RAISED.sub("", telling(part["output"]).strip(), count=1)
    verb = "breaks" if len(atoms) == 1 else "together break"
    if not part["smallest"]:
        verb = "is what breaks"
    sentence = f'{_named(atoms, screen)} {verb} check "{screen.visible(part["check"])}"'
    sentence = sentence if part["smallest"] else f"Among {sentence}"
    end = f": {screen.visible(told)}" if told else "."
    return wrapped(cut(sentence + end, 4 * screen.width, screen.plain("…")), screen.width, "bold")


def _named(atoms: Sequence[Mapping[str, Any]], screen: Screen) -> str:
    """Name atoms; those that lie in the same place together."""
    by_place: dict[str, list[str]] = {}
    for atom in atoms[:_MOST]:
        what, place = _words(atom, screen)
        by_place.setdefault(place, []).append(what)
    more = [f"{len(atoms) - _MOST:,} more (--json lists all)"] if len(atoms) > _MOST else []
    return _and([*(_and(names) + (f" in {place}" if place else "") for place, names in by_place.items()), *more])


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _words(atom: Mapping[str, Any], screen: Screen) -> tuple[str, str]:
    """Say what an atom is, and where: `setuptools 65.5.0 -> 84.2.1`, `/srv/shop/venv`."""
    kind, subject = atom["kind"], atom["subject"]
    if kind == "noise":
        return f"what noise rules fold away ({counted(atom['paths'], 'path')})", ""
    place, name = "", subject
    if kind == "python-package":
        place, _, name = subject.rpartition(":")
    elif kind == "config" and "#" in subject:
        place, _, name = subject.partition("#")
    elif kind not in ("file", "debian-package", "service"):
        name = f"{kind} {subject}"
    others = len(atom["effects"]) - 1
    tied = f" (with {counted(others, 'effect')} of the same paths)" if others > 0 else ""
    return f"{screen.name(name)}{_move(atom, screen)}{tied}", screen.name(place)


def _move(atom: Mapping[str, Any], screen: Screen) -> str:
    """Say what became of it."""
    before, after = atom["before"], atom["after"]
    if isinstance(after, dict) and after.get("requests"):
        return screen.visible(f" ({', '.join(after['requests'])})")
    if before is None or after is None:
        word = "new" if before is None else "removed"
        there = after if before is None else before
        plain = there is not None and not isinstance(there, (dict, list))
        return f" {value_text(there, screen)} ({word})" if plain else f" ({word})"
    if isinstance(before, dict) or isinstance(after, dict):
        return " (edited)"
    if before == after:
        return f" {value_text(after, screen)} (other files)"
    return screen.plain(f" {value_text(before, screen)} → {value_text(after, screen)}")


def _rest(document: Mapping[str, Any], screen: Screen) -> list[Text]:
    rest, width = document["rest"], screen.width - LABEL
    if rest is None:
        return wrapped("nothing is ready to be applied: see the limits" if document["limits"] else "nothing", width)
    counts = counts_text(rest["counts"])
    if rest["stands"]:
        return wrapped(f"stands as it is; change {rest['change']} is ready: it takes out {counts}", width)
    word = "passes" if rest["effects"] == 1 else "pass"
    return wrapped(f"{counts} {word} the checks: ready as change {rest['change']}", width)


def _flaky(flaky: Mapping[str, Any], screen: Screen) -> list[Text]:
    name = screen.visible(flaky["check"])
    lines = wrapped(f'Check "{name}" said two things of the same bits, so nothing is believed:', screen.width, "bold")
    for said in flaky["said"]:
        word = said["result"].replace("_", " ")
        told = cut(screen.visible(telling(said["output"]).strip()), screen.width - LABEL - 2, screen.plain("…"))
        lines.append(Text.assemble("  ", (word.ljust(LABEL), _STYLES[said["result"]]), told))
    return lines
