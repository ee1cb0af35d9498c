"""Refuses Python packages that do not come from requirements with `==` or a hash, or come out otherwise each time."""

from __future__ import annotations

import os
from collections.abc import Iterator

from backout.model import convert
from backout.model.effect import Effect
from backout.model.guard import Guard, Key, Known, number
from backout.model.requirements import Include, Requirement, Row, in_command, in_file
from backout.model.verdict import Reason, first

KEYS = {
    "requirements": Key(
        convert.list_of(convert.absolute_path),
        "list of paths: files that packages come from, besides those that the command line names",
        default=(),
    )
}
NEEDS = ("texts",)
_MOST_FILES = 100
_NAME_THEM = "Name them, pinned, in the requirements of the command line, or in those that the guard reads."


def judge(guard: Guard, known: Known) -> list[Reason]:
    """Refuse what is not pinned, where packages come or one of the files is changed."""
    texts = known.texts or {}
    rows = list(_rows(guard, known))
    packages = [e for e in known.effects if e.kind == "python-package" and e.after is not None]
    if not packages and not _files(rows) & {os.fsdecode(path) for effect in known.effects for path in effect.paths}:
        return []
    asked = [row for row in rows if isinstance(row, Requirement)]
    exact = {row.name for row in asked if row.exact and row.name}
    unread = [row.told for row in rows if isinstance(row, Include) and texts.get(row.path) is None]
    loose = [row.told for row in asked if not (row.exact or row.constraint or row.name in exact)]
    names = {row.name for row in asked}
    foreign = [f"{_name(effect)} {effect.after}" for effect in packages if _name(effect) not in names]
    other = [_name(effect) for effect in packages if effect.reproducible is False]
    found = (
        (unread, "requirements file", "cannot be read", "Look whether they are there: pip install -r FILE"),
        (loose, "requirement", "without == or a hash", "Pin them with == or --hash."),
        (foreign, "package", "from where nothing is known of", _NAME_THEM),
        (other, "package", "made otherwise the second time", "Pin them with --hash."),
    )
    return [
        Reason(f"{number(len(told), noun)} {problem}: {first(told)}.", next=way)
        for told, noun, problem, way in found
        if told
    ]


def paths(guard: Guard, known: Known) -> set[str]:
    """Name the files of requirements and of constraints, as far as those that are known name them."""
    return _files(list(_rows(guard, known)))


def _files(rows: list[Row]) -> set[str]:
    return {row.path for row in rows if isinstance(row, Include) and row.path}


def _rows(guard: Guard, known: Known) -> Iterator[Row]:
    """Walk all that is asked for, the files that are known included; a file once, be it a circle."""
    texts = known.texts or {}
    left: list[Row] = [Include(path, path, constraint=False) for path in guard.settings["requirements"]]
    left += in_command(known.command, known.cwd)
    seen: set[tuple[str, bool]] = set()
    while left:
        row = left.pop(0)
        yield row
        if not isinstance(row, Include) or (row.path, row.constraint) in seen or len(seen) >= _MOST_FILES:
            continue
        seen.add((row.path, row.constraint))
        text = texts.get(row.path)
        left += in_file(text, row.path, constraint=row.constraint) if text is not None else []


def _name(effect: Effect) -> str:
    return effect.subject.rpartition(":")[2]
