"""Weak wording, counterfactuals, and names as causes in the text of a review, each with what to write instead. Pure.

An action is weak that asks for people's attention or ends nowhere: nobody could tell from the systems and their records
whether it is done. How well it is told was measured on published actions (`bench/data/README.md`, `docs/bench.md`). It
is shown, and may be wrong: a text that means well by a word that is found here may keep it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator
from typing import NamedTuple

from backout.model import better, phrases
from backout.model.better import Act, Better
from backout.model.markdown import scan

WEAK, COUNTERFACTUAL, NAME = "weak", "counterfactual", "name"

_OPENINGS: tuple[tuple[re.Pattern[str], Better], ...] = (
    (phrases.ASKED, better.ANSWERED),
    (phrases.TRIED, better.done),
    (phrases.A_WAY, better.done),
    (phrases.ATTENTION, better.refused),
    (phrases.GOING_ON, better.ACTED),
    (phrases.FINDING_OUT, better.decided),
    (phrases.DEGREE, better.measured),
    (phrases.UNNAMED, better.named),
    (phrases.PEOPLE, better.refused),
    (phrases.AGAIN, better.refused),
    (phrases.TOPIC, better.ACTED),
)
"""What a weak action begins with; the first that fits counts."""
_WITHIN: tuple[tuple[re.Pattern[str], Better], ...] = (
    (phrases.CARE, better.refused),
    (phrases.COMPARED, better.COMPARED),
    (phrases.EMPTY, better.COMPARED),
    (phrases.HEDGED, better.meant),
    (phrases.LEFT_OPEN, better.ACTED),
)
"""What a weak action holds, before it tells what it is for."""
_COUNTERFACTUALS = (
    (phrases.EXPECTED, better.SENSIBLE),
    (phrases.OTHERWISE, better.WAYS),
    (phrases.OMITTED, better.LET_IT_PASS),
)
_NEAR = 60
"""So many characters before `failed to` at most whoever failed is named."""
_QUOTED = r"`[^`\n]*`|\"(?:[^\"\n]|\n(?!\s*\n)){1,400}\"|“(?:[^”\n]|\n(?!\s*\n)){1,400}”"
_ASIDE = re.compile(rf"{_QUOTED}|\([^()\n]*\)")
_TOLD = re.compile(_QUOTED)
_PATH = re.compile(r"^###[ \t]+P\d+\b(.*)$", re.MULTILINE)


class Finding(NamedTuple):
    """Words in a text that another wording would serve better; lines and columns count from 1, in characters."""

    line: int
    column: int
    words: str
    sort: str
    better: str


_Hit = tuple[int, int, str, str]
"""From where to where in the text, of which sort, and what to write instead."""


def weak(title: str) -> list[Finding]:
    """Find what makes an action's title one of which nobody could tell that it is done; empty where there is nothing.

    A weak word with a measure, or with an act that ends, is none: `improve p99 below 200 ms`, `investigate and fix`.
    Code, what is quoted, and what stands in parentheses are not looked at. Lines are all 1.
    """
    quiet = _quiet(title, _ASIDE)
    lead = phrases.LEAD.match(quiet)
    begin = lead.end() if lead else 0
    found = list(_opens(quiet, begin)) or sorted(_holds(quiet, begin), key=lambda one: one[0].start())
    findings = list[Finding]()
    for match, propose in found:
        act = Act(title[begin : match.start()], match.group().strip(), title[match.end() :])
        findings.append(Finding(1, match.start() + 1, act.words, WEAK, propose(act)))
    return findings


def findings(text: str, names: Collection[str]) -> list[Finding]:
    """Find counterfactuals, and names as causes, in a text of Markdown, in its order.

    `names` are those who acted or own something. A name is found where it is told as a cause, and in a path's heading;
    that somebody did, owns or takes something over is no cause. Code, comments and what is quoted are not looked at.
    """
    quiet, people = _prose(text), _people(names)
    found = {*_counterfactuals(quiet, people), *_names(quiet, people)}
    begins = [0, *(match.end() for match in re.finditer("\n", text))]
    placed = list[Finding]()
    for start, end, sort, instead in sorted(found):
        line = bisect_right(begins, start)
        column = start - begins[line - 1] + 1
        placed.append(Finding(line, column, " ".join(text[start:end].split()), sort, instead))
    return placed


def _opens(quiet: str, begin: int) -> Iterator[tuple[re.Match[str], Better]]:
    """Find what an action begins with that has no end, unless it has a measure, or goes on to an act that ends."""
    for pattern, propose in _OPENINGS:
        match = pattern.match(quiet, begin)
        if match:
            is_measured = pattern is phrases.DEGREE and phrases.MEASURE.search(quiet, match.end())
            if not is_measured and not phrases.DONE.search(quiet, match.end()):
                yield match, propose
            return


def _holds(quiet: str, begin: int) -> Iterator[tuple[re.Match[str], Better]]:
    """Find what has no measure, and what leaves open whether it is done at all."""
    since = phrases.SINCE.search(quiet, begin + 1)
    for pattern, propose in _WITHIN:
        for match in pattern.finditer(quiet, begin, since.start() if since else len(quiet)):
            if not (pattern is phrases.COMPARED and phrases.MEASURE.search(quiet, match.end())):
                yield match, propose
    for match in phrases.OPEN_END.finditer(quiet, begin):
        yield match, better.meant


def _quiet(text: str, aside: re.Pattern[str]) -> str:
    """Blank what is not the writer's own word; every other character stays where it is."""
    return aside.sub(lambda match: re.sub(r"\S", " ", match.group()), text).replace("\u2019", "'")


def _prose(text: str) -> str:
    """Blank all that is not the writer's own running text; every other character stays where it is."""
    rows = list[str]()
    for row, line in zip(text.split("\n"), scan(text).lines):
        is_told = line.is_plain and not line.text.lstrip().startswith(">")
        rows.append(row if is_told else " " * len(row))
    return _quiet("\n".join(rows), _TOLD)


def _people(names: Collection[str]) -> str:
    """Give a pattern of the names, as they log in and as they are written; empty where there are none."""
    forms = {form for name in names for form in (name, name.partition("@")[0])} - {"root"}
    spelt = {way for form in forms for way in (form, better.capital(form), form.lower()) if len(way) > 1}
    return "|".join(re.escape(way) for way in sorted(spelt, key=len, reverse=True))


def _counterfactuals(quiet: str, people: str) -> Iterator[_Hit]:
    for pattern, instead in _COUNTERFACTUALS:
        for match in pattern.finditer(quiet):
            yield match.start(), match.end(), COUNTERFACTUAL, instead
    persons = "|".join(filter(None, (phrases.PERSON, f"(?-i:{people})" if people else "")))
    person = phrases.running(rf"(?:{persons})[ ](?:\w+ly[ ])?\Z")
    for match in phrases.FAILED.finditer(quiet):
        is_machine = match["act"].lower() in phrases.MACHINES
        if not is_machine or person.search(quiet, max(0, match.start() - _NEAR), match.start()):
            yield match.start(), match.end("failed"), COUNTERFACTUAL, better.LET_IT_PASS


def _names(quiet: str, people: str) -> Iterator[_Hit]:
    for match in phrases.ERRORS.finditer(quiet):
        yield match.start(), match.end(), NAME, better.NOT_WHO
    if not people:
        return
    name = rf"(?<![\w@.-])(?-i:{people})(?![\w-])"
    for cause in phrases.CAUSES:
        pattern = cause.replace("[ ]", phrases.BLANK).replace("NAME", name)
        for match in re.finditer(pattern, quiet, phrases.FLAGS):
            yield match.start(), match.end(), NAME, better.NOT_WHO
    for heading in _PATH.finditer(quiet):
        for match in re.compile(name, re.IGNORECASE).finditer(quiet, heading.start(1), heading.end(1)):
            yield match.start(), match.end(), NAME, better.NOT_WHO
