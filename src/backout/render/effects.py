"""Effects grouped by meaning, each as one row of words: what a report lists."""

from __future__ import annotations

import json
import os.path
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from rich.text import Text

from backout.render.screen import Screen
from backout.render.version import ADDED, MAJOR, REMOVED, jump

REACH = ("service", "debian-package", "python-package", "user", "group", "cron", "config", "file")
"""Kinds by how far an effect reaches: what runs, what everything is built on, who may, what one program reads."""

MARKS = {"added": "+", "removed": "-", "edited": "~"}
"""How an operation is shown in one character."""

FOLDER_FROM = 9
"""From this many files on, a report that is not `--full` counts them by folder."""


class Group(NamedTuple):
    """Effects of one meaning: a title, a row for each, and the text diffs that belong to them.

    `counts` says how many effects each row stands for. The rows of a `compact` group are short enough for several to
    share a line.
    """

    title: Text
    rows: list[list[Text]]
    counts: list[int]
    diffs: list[tuple[str, str]]
    compact: bool = False


def groups(effects: Sequence[dict[str, Any]], screen: Screen, *, full: bool) -> list[Group]:
    """Group effects by meaning, those with the longest reach first."""
    sorted_in: dict[tuple[int, str, str], list[dict[str, Any]]] = {}
    for effect in effects:
        sorted_in.setdefault(_place(effect), []).append(effect)
    groupers = {**_GROUPERS, "file": _files} if full else _GROUPERS
    return [groupers.get(place[1], _others)(sorted_in[place], screen) for place in sorted(sorted_in)]


def _place(effect: dict[str, Any]) -> tuple[int, str, str]:
    kind, subject = str(effect["kind"]), str(effect["subject"])
    apart = {"python-package": subject.rpartition(":")[0], "config": subject.partition("#")[0]}
    return (REACH.index(kind) if kind in REACH else len(REACH), kind, apart.get(kind, ""))


def _python(members: list[dict[str, Any]], screen: Screen) -> Group:
    prefix = members[0]["subject"].rpartition(":")[0]
    where = f" in {screen.name(prefix)}" if prefix else ""
    return _packages(members, "Python package", where, lambda subject: subject.rpartition(":")[2], screen)


def _debian(members: list[dict[str, Any]], screen: Screen) -> Group:
    return _packages(members, "Debian package", "", str, screen)


def _packages(
    members: list[dict[str, Any]], noun: str, where: str, name: Callable[[str], str], screen: Screen
) -> Group:
    moves = [(jump(_version(m["before"]), _version(m["after"])), m) for m in members]
    moves.sort(key=lambda move: (move[0].reach, move[1]["subject"]))
    rows = []
    for move, member in moves:
        loud = move.kind in (MAJOR, REMOVED)
        mark = {MAJOR: "▲", ADDED: "+", REMOVED: "-"}.get(move.kind, " ")
        old, new = _version(member["before"]), _version(member["after"])
        rows.append(
            [
                Text(screen.plain(mark), style="bold red" if loud else "bold"),
                Text(screen.name(name(member["subject"])), style="bold" if loud else ""),
                Text(screen.visible(old or ""), style="dim", justify="right"),
                Text(screen.plain("→") if old and new else "", style="dim"),
                Text(screen.visible(_new_text(old, new)), style="bold" if loud else ""),
            ]
        )
    kinds = Counter(move.kind for move, _ in moves)
    notes = [
        (screen.plain(mark) + " " if mark else "") + f"{kinds[kind]} {word}"
        for kind, mark, word in ((REMOVED, "-", "removed"), (MAJOR, "▲", "major"), (ADDED, "+", "new"))
        if kinds[kind]
    ]
    return _group(counted(len(rows), noun) + where, rows, members, notes, screen, compact=True)


def _new_text(old: str | None, new: str | None) -> str:
    """Say what a version becomes; one that stays is of other files all the same."""
    return "removed" if new is None else f"{new}, other files" if new == old else new


def _version(value: object) -> str | None:
    """Read a version, given bare or as {"version": …}."""
    if isinstance(value, dict):
        value = value.get("version")
    return None if value is None else str(value)


_STATE_WORDS = {"enabled": ("enabled", "disabled"), "active": ("running", "stopped"), "masked": ("masked", "unmasked")}


def _services(members: list[dict[str, Any]], screen: Screen) -> Group:
    rows = []
    for member in members:
        before, after = member["before"] or {}, member["after"] or {}
        asked = after.get("requests", ()) if isinstance(after, dict) else ()
        states = [
            screen.plain(f"{_yes(field, before.get(field))} → {_yes(field, after.get(field))}")
            for field in _STATE_WORDS
            if isinstance(before, dict) and isinstance(after, dict) and before.get(field) != after.get(field)
        ]
        requests = ", ".join(asked) or str(member["op"])
        rows.append(
            [
                Text(screen.name(str(member["subject"])), style="bold"),
                Text(screen.visible(requests)),
                Text(screen.plain(" · ").join(states), style="dim"),
            ]
        )
    notes = ["carried out after the files"] if any(m["predicted"] for m in members) else []
    return _group(counted(len(rows), "service"), rows, members, notes, screen)


def _yes(field: str, value: object) -> str:
    words = _STATE_WORDS[field]
    return "unknown" if value is None else words[0] if value else words[1]


def _accounts(members: list[dict[str, Any]], screen: Screen) -> Group:
    rows = [[_operation(m["op"]), Text(screen.name(m["subject"]), style="bold"), _fields(m, screen)] for m in members]
    return _group(counted(len(rows), members[0]["kind"]), rows, members, [], screen)


def _fields(member: dict[str, Any], screen: Screen) -> Text:
    """Name the fields that differ; of what is new or gone, all that say something."""
    before, after = member["before"], member["after"]
    if not isinstance(before, dict) or not isinstance(after, dict):
        there = after if before is None else before
        if not isinstance(there, dict):
            return Text.assemble(*_moved(before, after, screen))
        said = {key: value for key, value in there.items() if value not in ("", [], None)}
        return Text(", ".join(f"{key} {value_text(value, screen)}" for key, value in said.items()), style="dim")
    return Text(", ").join(
        Text.assemble((f"{key} ", "dim"), *_moved(before.get(key), after.get(key), screen))
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    )


def _cron(members: list[dict[str, Any]], screen: Screen) -> Group:
    rows = []
    for member in members:
        line = member["after"] if member["before"] is None else member["before"]
        subject = str(member["subject"])
        place = subject.removesuffix(line).rstrip(":# ") if isinstance(line, str) and line else subject
        moved = Text.assemble(*_moved(member["before"], member["after"], screen))
        rows.append([_operation(member["op"]), Text(screen.name(place or subject), style="bold"), moved])
    return _group(counted(len(rows), "cron entry", "cron entries"), rows, members, [], screen)


def _config(members: list[dict[str, Any]], screen: Screen) -> Group:
    path = members[0]["subject"].partition("#")[0]
    rows = [
        [
            _operation(m["op"]),
            Text(screen.visible(m["subject"].partition("#")[2] or "the file"), style="bold"),
            Text("see the diff (--full)", style="dim")
            if m.get("diff") and not m["subject"].partition("#")[2]
            else Text.assemble(*_moved(m["before"], m["after"], screen)),
        ]
        for m in members
    ]
    return _group(f"{counted(len(rows), 'setting')} in {screen.name(path)}", rows, members, [], screen)


def _few_files(members: list[dict[str, Any]], screen: Screen) -> Group:
    return (_files if len(members) < FOLDER_FROM else _folders)(members, screen)


def _files(members: list[dict[str, Any]], screen: Screen) -> Group:
    rows = [
        [_operation(m["op"]), Text(screen.name(m["subject"])), Text(_file_change(m, screen), style="dim")]
        for m in members
    ]
    return _group(counted(len(members), "file"), rows, members, [], screen)


def _folders(members: list[dict[str, Any]], screen: Screen) -> Group:
    by_folder: dict[str, list[dict[str, Any]]] = {}
    for member in members:
        by_folder.setdefault(os.path.dirname(member["subject"]), []).append(member)
    rows, counts = [], []
    for folder, inside in sorted(by_folder.items(), key=lambda item: (-len(item[1]), item[0])):
        kinds = Counter(str(member["op"]) for member in inside)
        words = ", ".join(f"{kinds[op]} {op}" for op in ("added", "edited", "removed") if kinds[op])
        names = ", ".join(screen.name(os.path.basename(member["subject"])) for member in inside)
        rows.append([Text(screen.name(folder.rstrip("/") + "/"), style="bold"), Text(words), Text(names, style="dim")])
        counts.append(len(inside))
    notes = [f"in {len(rows)} folders"] if len(rows) > 1 else []
    return _group(counted(len(members), "file"), rows, members, notes, screen)._replace(counts=counts)


def _file_change(member: dict[str, Any], screen: Screen) -> str:
    before, after = member["before"], member["after"]
    if not isinstance(before, dict) or not isinstance(after, dict):
        there = after if before is None else before
        return _what_it_is(there, screen) if isinstance(there, dict) else ""
    parts = [
        f"{label}{before.get(key)} → {after.get(key)}"
        for key, label in (("type", ""), ("mode", "mode "), ("uid", "uid "), ("gid", "gid "))
        if before.get(key) != after.get(key)
    ]
    if before.get("target") != after.get("target") and after.get("target"):
        old = f"{screen.name(str(before['target']))} " if before.get("target") else ""
        parts.append(f"{old}→ {screen.name(str(after['target']))}")
    if before.get("xattrs") != after.get("xattrs"):
        parts.append("extended attributes")
    if before.get("sha256") != after.get("sha256"):
        parts.append(_content_change(member))
    return screen.plain(" · ".join(parts))


def _content_change(member: dict[str, Any]) -> str:
    lines = (member.get("diff") or "").split("\n")
    added = sum(line.startswith("+") and not line.startswith("+++") for line in lines)
    gone = sum(line.startswith("-") and not line.startswith("---") for line in lines)
    if added or gone:
        return f"+{added} -{gone} lines"
    old, new = member["before"].get("size", 0), member["after"].get("size", 0)
    return f"{size_text(old)} → {size_text(new)}" if size_text(old) != size_text(new) else "content"


def _what_it_is(state: dict[str, Any], screen: Screen) -> str:
    if state.get("type") == "symlink":
        return screen.plain("→ ") + screen.name(str(state.get("target", "")))
    return size_text(state["size"]) if "size" in state else str(state.get("type", ""))


def _others(members: list[dict[str, Any]], screen: Screen) -> Group:
    """Show a kind that this page knows nothing of, as a lens of somebody else's may give it."""
    rows = [
        [
            _operation(m["op"]),
            Text(screen.name(m["subject"]), style="bold"),
            Text.assemble(*_moved(m["before"], m["after"], screen)),
        ]
        for m in members
    ]
    return _group(f"{len(rows)} x {screen.name(members[0]['kind'])}", rows, members, [], screen)


_GROUPERS: dict[str, Callable[[list[dict[str, Any]], Screen], Group]] = {
    "service": _services,
    "debian-package": _debian,
    "python-package": _python,
    "user": _accounts,
    "group": _accounts,
    "cron": _cron,
    "config": _config,
    "file": _few_files,
}


def _group(
    title: str,
    rows: list[list[Text]],
    members: list[dict[str, Any]],
    notes: Iterable[str],
    screen: Screen,
    *,
    compact: bool = False,
) -> Group:
    lost = sum(not member["reversible"] for member in members)
    parts = [Text(title, style="bold"), *(Text(note, style="dim") for note in notes)]
    unsteady = sum(member.get("reproducible") is False for member in members)
    if unsteady:
        parts.append(Text(f"{unsteady} not reproducible", style="bold yellow"))
    if lost:
        parts.append(Text(f"{lost} cannot be taken back", style="bold red"))
    diffs = [(str(m["subject"]), str(m["diff"])) for m in members if m.get("diff")]
    return Group(Text(screen.plain(" · ")).join(parts), rows, [1] * len(rows), diffs, compact)


def _operation(op: str) -> Text:
    return Text(MARKS.get(op, " "), style="bold")


def _moved(before: object, after: object, screen: Screen) -> list[Text]:
    if before is None or after is None:
        return [Text(value_text(after if before is None else before, screen))]
    arrow = Text(screen.plain(" → "), style="dim")
    return [Text(value_text(before, screen), style="dim"), arrow, Text(value_text(after, screen))]


def value_text(value: object, screen: Screen) -> str:
    """Give a value in words: strings bare, everything else as JSON."""
    return screen.visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def size_text(size_bytes: int) -> str:
    """Give a size with the unit that keeps it short (1 kB is 1000 bytes)."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":  # noqa: PLR2004 - the step between units
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"  # noqa: PLR2004


def counted(number: int, one: str, many: str = "") -> str:
    """Give a number with its noun: 1 file, 2 files."""
    return f"{number} {one if number == 1 else many or one + 's'}"
