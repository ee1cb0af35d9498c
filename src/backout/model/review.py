"""The review of an incident: one text, and the sections, paths and actions that are read from it when needed. Pure.

Stored is what a person wrote, verbatim; so the file, the journal and the file again are the same. Lines count from 1,
in that text: whoever shows a file adds what stands above it (`File.first_line`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import date
from itertools import dropwhile
from typing import NamedTuple

from backout.model import shape
from backout.model.incident import Row
from backout.model.markdown import Line, rows, scan
from backout.model.sections import ACTIONS, PATHS, SECTIONS, Problem, blocks, headings, merged, sections, structure

__all__ = ["SECTIONS", "Problem", "merged", "sections"]
"""What is of this module besides what stands in it."""

REVIEW = "review"
"""The type of an event that holds a review as it was saved."""
DRAFT, IN_REVIEW, CLOSED = "draft", "in review", "closed"
LED, COULD_HAVE_LED = "led", "could have led"
PREVENT = "prevent"
KINDS = (PREVENT, "detect", "mitigate")
GUARD, CHECK, COMMAND, ACCEPTED, HANDED = "guard", "check", "command", "accepted", "handed"
FIELDS = ("owner", "due", "kind", "closes", "proof")
"""What an action says of itself, a line each."""
_NEEDED = {"owner": "owner", "due": "due day", "kind": "kind", "title": "heading"}
PROOFS = "guard NAME, check NAME, command NAME, accepted by NAME until DATE, handed to NAME by DATE"

BODY = shape.fields(
    {
        "incident": shape.text,
        "state": shape.one_of(DRAFT, IN_REVIEW, CLOSED),
        "text": shape.text,
        "base": shape.whole,
    }
)
"""What the body of such an event must be like."""

_PATH = re.compile(rf"### +(P[1-9]\d*):? +({LED}|{COULD_HAVE_LED}) *:(.*)", re.IGNORECASE)
_ACTION = re.compile(r"### +(A[1-9]\d*)[:.]?(?: +(.*))?", re.IGNORECASE)
_ENTRIES = re.compile(r"(?:[-*] +)?entries *:(.*)", re.IGNORECASE)
_FIELD = re.compile(r"[-*] +([A-Za-z][\w -]*):(.*)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOST_CHARACTERS = 1000
"""A field that is longer is none."""
_ABOUT = "what is known is written by backout, anew each time, and what is to be said of it goes below"
_HEAD = re.compile(r"<!-- backout review of (\S+), edited from (\d{1,18}) -->")
_BEGIN = re.compile(r"<!-- known [0-9a-f]{8}: .*-->")
_END = "<!-- end of known -->"
_MOST_DIGITS = 18
_BY_NAME = re.compile(rf"({GUARD}|{CHECK}|{COMMAND}) +(\S.*)", re.IGNORECASE)
_BY_PERSON = re.compile(r"(accepted +by|handed +to) +(\S.*?) +(until|by) +(\S+)", re.IGNORECASE)


class Path(NamedTuple):
    """A way into what happened (`led`), or another one into the same state. `entries` are numbers of the timeline."""

    key: str
    kind: str
    title: str
    entries: tuple[int, ...]
    line: int


class Standing(NamedTuple):
    """What an action stands on: a guard, a check or a command of that name, or a person's word until a day."""

    sort: str
    name: str
    until: date | None


class Action(NamedTuple):
    """What is to be done. What is not said is empty, or None."""

    key: str
    title: str
    owner: str
    due: date | None
    kind: str
    closes: tuple[str, ...]
    proof: Standing | None
    line: int


class Review(NamedTuple):
    """A review as it was saved last; `seq` is its event's, 0 where none was saved yet."""

    incident: str
    state: str
    text: str
    seq: int
    at: float
    actor: str


def fold(events: Iterable[Row]) -> dict[str, Review]:
    """Give the newest review of each incident, from the events of the journal in the order of their seq."""
    found: dict[str, Review] = {}
    for row in events:
        if row.type == REVIEW and BODY(row.body):
            body = row.body
            found[body["incident"]] = Review(body["incident"], body["state"], body["text"], row.seq, row.at, row.actor)
    return found


def template() -> str:
    """Give the text of a review in which nothing was written yet."""
    return "\n".join(f"## {name}\n" for name in SECTIONS)


def state_of(text: str, entries: Collection[int]) -> str:
    """Say where a text that is saved stands: in review once it has a path and an action, and no problem."""
    return IN_REVIEW if paths(text) and actions(text) and not problems(text, entries) else DRAFT


def paths(text: str) -> list[Path]:
    """Give the paths whose heading can be read, in their order."""
    found = []
    for heading, body in blocks(text, PATHS):
        if match := _PATH.fullmatch(heading.text):
            numbers = [number for _, word in _entries(body) if (number := _number(word)) is not None]
            key, kind = match[1].upper(), match[2].lower()
            found.append(Path(key, kind, match[3].strip(), tuple(numbers), heading.number))
    return found


def actions(text: str) -> list[Action]:
    """Give the actions whose heading can be read, in their order."""
    found = []
    for heading, body in blocks(text, ACTIONS):
        if match := _ACTION.fullmatch(heading.text):
            said: dict[str, str] = {}
            for _, key, value in _said(body):
                said.setdefault(key, value)
            kind, proof = said.get("kind", "").lower(), said.get("proof", "")
            action = Action(
                match[1].upper(),
                (match[2] or "").strip(),
                owner=said.get("owner", ""),
                due=_day(said.get("due", "")),
                kind=kind if kind in KINDS else "",
                closes=tuple(_words(said.get("closes", "").upper())),
                proof=_standing(proof),
                line=heading.number,
            )
            found.append(action)
    return found


def problems(text: str, entries: Collection[int]) -> list[Problem]:
    """Tell all that is wrong with a text, by line; `entries` are the numbers of the incident's timeline.

    What is only not there yet is told by `lacking`.
    """
    found = [*structure(text), *_wrong_paths(text, entries), *_wrong_actions(text)]
    return sorted(dict.fromkeys(found))


def lacking(text: str) -> list[Problem]:
    """Tell what a review still needs before it can be closed, as far as the text alone can tell."""
    known = paths(text)
    found = [
        Problem(path.line, f"{path.key} led to it, and names no entry of the timeline: entries: #N")
        for path in known
        if path.kind == LED and not path.entries
    ]
    every = actions(text)
    if not every:
        found.append(Problem(_heading_of(text, ACTIONS), "there is no action."))
    for action in every:
        needs = [word for name, word in _NEEDED.items() if not getattr(action, name)]
        needs += [] if {path.key for path in known} & set(action.closes) else ["path that it closes"]
        if needs:
            found.append(Problem(action.line, f"{action.key} has no {', no '.join(needs)}."))
    return sorted(found)


class File(NamedTuple):
    """What a file says: of which incident, edited from which event, and the text; on which line of it that begins.

    `problems` are those of what stands above the text, by lines of the file.
    """

    incident: str
    base: int
    text: str
    first_line: int
    problems: tuple[Problem, ...]


def file(review: Review, known: str) -> str:
    """Write a review as one Markdown file: what is known, written anew each time, above what a person wrote."""
    lines = _written(known)
    return "\n".join([_head(review.incident, review.seq), _begin(lines), *lines, _END, "", review.text])


def read(content: str, known: str = "") -> File:
    """Read what `file` wrote, whatever became of it in an editor: of what stands below the known part, all is there.

    `known` is that part as it would be written now: it tells which line of it was edited.
    """
    cut = rows(content.removeprefix("\ufeff"))
    lines = [row.rstrip() for row in cut]
    head = _HEAD.fullmatch(lines[0] if lines else "")
    found = [] if head else [Problem(1, f"the first line is not there; it should read {_head('INCIDENT', 'N')!r}.")]
    begin = next((at for at, line in enumerate(lines) if _BEGIN.fullmatch(line)), None)
    end = lines.index(_END) if _END in lines else None
    if begin is None or end is None or end < begin:
        gone = 2 if begin is None else begin + 1
        found.append(Problem(gone, f"{_ABOUT}; a line that it begins or ends with is not there any more."))
        start = next((at for at, line in enumerate(lines) if line == f"## {SECTIONS[0]}"), len(lines))
    else:
        found += [Problem(at + 1, f"{_ABOUT}; this stands above it.") for at in range(1, begin) if lines[at]][:1]
        found += _edited(lines[begin:end], begin + 1, known)
        start = end + 1 + (end + 1 < len(lines) and not lines[end + 1])
    said = (head[1], int(head[2])) if head else ("", 0)
    return File(*said, "".join(cut[start:]), start + 1, tuple(found))


def _written(known: str) -> list[str]:
    """Give the lines of what is known, of which none can be taken for the end of it."""
    return [line.rstrip().replace(_END, "<!-- … -->") for line in known.rstrip().split("\n")]


def _head(incident: str, base: object) -> str:
    return f"<!-- backout review of {incident}, edited from {base} -->"


def _begin(known: list[str]) -> str:
    mark = hashlib.sha256("\n".join(known).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"<!-- known {mark}: {_ABOUT} -->"


def _edited(part: list[str], at: int, known: str) -> list[Problem]:
    """Tell of the first line that is not as it was written, where that is known; else of the part."""
    if _begin(part[1:]) == part[0]:
        return []
    was = _written(known)
    if _begin(was) == part[0]:
        at += 1 + next(
            (n for n, (old, new) in enumerate(zip(was, part[1:])) if old != new), min(len(was), len(part) - 1)
        )
    return [Problem(at, f"{_ABOUT}; it was edited here, which would be lost.")]


def _heading_of(text: str, section: str) -> int:
    return next((line.number for line, name in headings(scan(text).lines) if name == section), 1)


def _entries(body: Iterable[Line]) -> Iterator[tuple[Line, str]]:
    """Give the words that name entries of the timeline."""
    for line in body:
        if match := _ENTRIES.fullmatch(line.text):
            yield from ((line, word) for word in _words(match[1]))


def _said(body: Iterable[Line]) -> Iterator[tuple[Line, str, str]]:
    """Give what an action says of itself."""
    for line in body:
        if (field := _field(line.text)) and field[0] in FIELDS:
            yield line, *field


def _field(text: str) -> tuple[str, str] | None:
    """Read `- owner: Anna`, also where a part of it is printed bold."""
    match = _FIELD.fullmatch(text.replace("**", "")) if len(text) <= _MOST_CHARACTERS else None
    return (match[1].strip().lower(), match[2].strip()) if match else None


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,;]+", text) if word and word != "and"]


def _number(word: str) -> int | None:
    """Read the number of an entry: #4712, or 4712; None of what is none, or larger than any."""
    digits = word.lstrip("#")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None


def _standing(text: str) -> Standing | None:
    if match := _BY_NAME.fullmatch(text):
        return Standing(match[1].lower(), match[2].strip(" `"), None)
    match = _BY_PERSON.fullmatch(text)
    until = _day(match[4].rstrip(".")) if match else None
    if match is None or until is None:
        return None
    return Standing(ACCEPTED if match[1].lower().startswith(ACCEPTED) else HANDED, match[2], until)


def _wrong_paths(text: str, entries: Collection[int]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for heading, body in blocks(text, PATHS):
        match = _PATH.fullmatch(heading.text)
        if match is None:
            yield Problem(heading.number, f"a path is headed '### P1 {LED}: …' or '### P2 {COULD_HAVE_LED}: …'.")
            continue
        yield from _again(seen, match[1].upper(), heading.number)
        if not match[3].strip():
            yield Problem(heading.number, f"{match[1]} does not say what it is.")
        for line, word in _entries(body):
            if _number(word) is None:
                yield Problem(line.number, f"{word!r} is no number of an entry, such as #4712.")
            elif _number(word) not in entries:
                yield Problem(line.number, f"the timeline of this incident has no entry {word}.")


def _wrong_actions(text: str) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    known = {path.key for path in paths(text)}
    for heading, body in blocks(text, ACTIONS):
        match = _ACTION.fullmatch(heading.text)
        if match is None:
            yield Problem(heading.number, "an action is headed '### A1 what is to be done'.")
            continue
        yield from _again(seen, match[1].upper(), heading.number)
        yield from _unknown(body)
        said: dict[str, int] = {}
        for line, key, value in _said(body):
            yield from _again(said, key, line.number)
            yield from (Problem(line.number, what) for what in _wrong_field(key, value, known))


def _again(seen: dict[str, int], name: str, line: int) -> Iterator[Problem]:
    if seen.setdefault(name, line) != line:
        yield Problem(line, f"{name} stands here a second time.")


def _unknown(body: list[Line]) -> Iterator[Problem]:
    """Tell of a field that is none, among those right below the heading; further down a list is a list."""
    for line in dropwhile(lambda line: not line.text, body):
        field = _field(line.text)
        if field is None:
            return
        if field[0] not in FIELDS:
            yield Problem(line.number, f"{field[0]!r} is no field of an action; these are: {', '.join(FIELDS)}.")


def _wrong_field(key: str, value: str, known: Collection[str]) -> Iterator[str]:
    if not value:
        return
    if key == "due" and _day(value) is None:
        yield f"{value!r} is no day such as 2026-12-13."
    elif key == "kind" and value.lower() not in KINDS:
        yield f"{value!r} is no kind of action; these are: {', '.join(KINDS)}."
    elif key == "closes":
        yield from (f"there is no path {word}." for word in _words(value) if word.upper() not in known)
    elif key == "proof" and _standing(value) is None:
        yield f"{value!r} is no proof: {PROOFS}."
