"""A text in sections: cut at the headings that are known, held against them line by line, merged by section. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from backout.model.markdown import Line, rows, scan

PATHS, ACTIONS = "Paths", "Actions"
SECTIONS: tuple[str, ...] = (
    *("Summary", "Lead-up", "What happened", "Detection", "Response", "Recovery", "Impact", "What surprised us"),
    *("Where we were lucky", "What went well", "What went badly", PATHS, ACTIONS),
)
"""The headings of level 2 that stand once, in this order."""
YOURS, THEIRS, BOTH_END = "<<<<<<< yours", "======= theirs", ">>>>>>> end of theirs"
"""Lines between which a section stands that two changed, until a person has put both together."""


class Problem(NamedTuple):
    """What is wrong with a text, and where."""

    line: int
    what: str


def pieces(text: str) -> list[tuple[str, str]]:
    """Cut a text at its sections' headings: (name, everything from the heading on); joined, they are the text.

    What stands above the first heading is a piece without a name, where there is any.
    """
    cuts = [(0, ""), *((line.number - 1, name) for line, name in headings(scan(text).lines))]
    lines, ends = rows(text), [at for at, _ in cuts[1:]]
    found = [(name, "".join(lines[at:end])) for (at, name), end in zip(cuts, [*ends, len(lines)])]
    return found if found[0][1] else found[1:]


def sections(text: str) -> dict[str, str]:
    """Give what stands below the heading of each section, by its name."""
    return {name: raw.partition("\n")[2] for name, raw in pieces(text) if name}


def structure(text: str) -> list[Problem]:
    """Tell what keeps a text from being read section by section: it cannot be stored, nor merged, as it is."""
    found = [
        Problem(number, f"both ways of putting it still stand here, from {YOURS!r} on: keep one of them.")
        for number, row in enumerate(rows(text), 1)
        if row.startswith(YOURS)
    ]
    lines, open_at = scan(text)
    if open_at:
        what = "comment" if lines[open_at - 1].text.lstrip().startswith("<!--") else "block of code"
        return sorted([*found, Problem(open_at, f"this {what} has no end: all below would be part of it.")])
    known = headings(lines)
    first = known[0][0].number if known else 1
    above = next((line.number for line in lines[: first - 1] if line.text), None)
    if above is not None:
        found.append(Problem(above, f"this stands in no section: it is above {lines[first - 1].text!r}."))
    return sorted([*found, *_misplaced(known), *_gone(lines, known)])


def merged(base: str, mine: str, theirs: str) -> str | list[Problem]:
    """Take from each what only one of both changed since `base`, section by section; all three without `structure`.

    Where both changed one, nothing is merged: each is told with the line of `mine` from which on they differ.
    """
    found, line, texts = list[Problem](), 1, list[str]()
    for name, old, new, other in _side_by_side(base, mine, theirs):
        chosen = _chosen(old, new, other)
        if chosen is None:
            at = line + _alike(rows(new), rows(other))
            found.append(Problem(at, f"the section '## {name}' was changed here, and by somebody else, too."))
        texts.append(chosen or "")
        line += len(rows(new))
    return found or "".join(texts)


def marked(base: str, mine: str, theirs: str) -> str:
    """Merge as `merged` does, and where both changed a section, put both ways between marks, for a person to choose."""
    every = ((_chosen(old, new, other), new, other) for _, old, new, other in _side_by_side(base, mine, theirs))
    return "".join(_both(new, other) if chosen is None else chosen for chosen, new, other in every)


def _side_by_side(base: str, mine: str, theirs: str) -> Iterator[tuple[str, str, str, str]]:
    was, other = dict(pieces(base)), dict(pieces(theirs))
    for name, text in pieces(mine):
        yield name, was.get(name, ""), text, other.get(name, "")


def _chosen(old: str, new: str, other: str) -> str | None:
    """Give the one that was changed, None where both were; what editors do to the ends of lines is no change."""
    if other in (new, old):
        return new
    if new == old:
        return other
    if _bare(other) == _bare(old):
        return new
    return other if _bare(new) in (_bare(old), _bare(other)) else None


def _bare(text: str) -> list[str]:
    return [row.rstrip() for row in text.rstrip().split("\n")]


def _both(new: str, other: str) -> str:
    """Put what differs between marks: the lines at which they begin, and those with which they end alike, stay."""
    ours, others = rows(new), rows(other)
    head = _alike(ours, others)
    tail = _alike(ours[head:][::-1], others[head:][::-1])
    middle, other_middle = ours[head : len(ours) - tail], others[head : len(others) - tail]
    marks = [f"{YOURS}\n", *_ended(middle), f"{THEIRS}\n", *_ended(other_middle), f"{BOTH_END}\n"]
    return "".join([*ours[:head], *marks, *ours[len(ours) - tail :]])


def _ended(lines: list[str]) -> list[str]:
    return [line if line.endswith("\n") else f"{line}\n" for line in lines]


def _alike(lines: list[str], others: list[str]) -> int:
    """Count the lines with which both begin."""
    pairs = list(zip(lines, others))
    return next((at for at, (line, other) in enumerate(pairs) if line != other), len(pairs))


def headings(lines: Iterable[Line]) -> list[tuple[Line, str]]:
    """Give the lines that are a section's heading, and its name."""
    headed = ((line, line.text[3:]) for line in lines if line.is_plain and line.text.startswith("## "))
    return [(line, name) for line, name in headed if name in SECTIONS]


def _misplaced(known: list[tuple[Line, str]]) -> Iterator[Problem]:
    """Tell of known that stand twice, and of those that stand before one that belongs above them."""
    first: dict[str, int] = {}
    highest = -1
    for line, name in known:
        place = SECTIONS.index(name)
        if name in first:
            yield Problem(line.number, f"'## {name}' stands a second time; the first is in line {first[name]}.")
            continue
        first[name] = line.number
        if place < highest:
            yield Problem(line.number, f"'## {name}' stands below '## {SECTIONS[highest]}'; it belongs above it.")
        highest = max(highest, place)


def _gone(lines: list[Line], known: list[tuple[Line, str]]) -> Iterator[Problem]:
    """Tell of sections that are not there, at the line that may have been meant, else where they belong."""
    there = {name: line.number for line, name in known}
    for place, name in enumerate(SECTIONS):
        if name in there:
            continue
        meant = next((line for line in lines if line.is_plain and _folded(line.text) == _folded(f"#{name}")), None)
        if meant is not None:
            yield Problem(meant.number, f"the section '## {name}' is not there: this line should read '## {name}'.")
            continue
        after = next((there[other] for other in SECTIONS[place:] if other in there), len(lines) or 1)
        yield Problem(after, f"the section '## {name}' is not there; it belongs here.")


def _folded(text: str) -> str:
    """Give what a heading says, whatever its level, case and marks; '' of what is none."""
    return "".join(filter(str.isalnum, text)).casefold() if text.startswith("#") else ""


def blocks(text: str, section: str) -> Iterator[tuple[Line, list[Line]]]:
    """Give the headings of level 3 of a section, and the lines below each that mean something."""
    block: tuple[Line, list[Line]] | None = None
    inside = False
    for line in scan(text).lines:
        if line.is_plain and line.text.startswith("## "):
            inside = line.text[3:] == section if line.text[3:] in SECTIONS else inside
        elif inside and line.is_plain and line.text.startswith("### "):
            if block is not None:
                yield block
            block = (line, [])
        elif inside and line.is_plain and block is not None:
            block[1].append(line)
    if block is not None:
        yield block
