"""Ways out: commands that were done under a name, how long each took and what came of it; also in rehearsal. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from backout.model import shape
from backout.model.incident import COMMAND, Entry
from backout.model.ledger import PREPARED, REFUSED, REHEARSED, LedgerEntry

REHEARSAL = "rehearsal"
"""The type of an event that tells of a command which was rehearsed and let go: what the ledger tells of all others."""
_DONE = shape.fields({"as": shape.text, "exit_code": shape.signed, "duration_s": shape.number})
_TOLD = shape.fields({"command": shape.many(shape.text), "rehearsed": REHEARSED})


class Way(NamedTuple):
    """A way out by its name, as it was last spelt, with the command that was last done under it, at `at`.

    `durations_s` and `exit_codes` have one value for each time that it was done, the latest last.
    """

    name: str
    command: tuple[str, ...]
    durations_s: tuple[float, ...]
    exit_codes: tuple[int, ...]
    at: float = 0.0


class Rehearsed(NamedTuple):
    """The last time that a command was rehearsed: how long it took, and whether it failed.

    `at` is seconds since the epoch, UTC; `duration_s` is that of the command alone, on the slowest of its hosts.
    """

    at: float
    duration_s: float
    failed: bool


def line(words: Sequence[str]) -> str:
    """Write a command as it is typed: one word is a line for a shell already."""
    return words[0] if len(words) == 1 else shlex.join(words)


def ways_out(entries: Iterable[Entry]) -> list[Way]:
    """Give each way out that lines of timelines tell of, the one done last first; names are one whatever their case."""
    found: dict[str, Way] = {}
    for entry in sorted(entries, key=lambda entry: (entry.at, entry.seq)):
        body = entry.body
        if entry.kind != COMMAND or not _DONE(body) or not body["as"].strip():
            continue
        name = " ".join(body["as"].split())
        before = found.pop(name.casefold(), Way(name, (), (), ()))
        words = body.get("command")
        found[name.casefold()] = Way(
            name,
            tuple(map(str, words)) if isinstance(words, list) else (entry.text,),
            (*before.durations_s, float(body["duration_s"])),
            (*before.exit_codes, body["exit_code"]),
            entry.at,
        )
    return list(reversed(found.values()))


def rehearsed(
    entries: Iterable[LedgerEntry], let_go: Iterable[tuple[float, Mapping[str, Any]]] = ()
) -> dict[str, Rehearsed]:
    """Give how commands went when they were rehearsed last, by their lines.

    From what ledgers tell of changes and refusals, and from when and what events tell of rehearsals that were let go.
    Of a change on several hosts the slowest counts, and one on which it failed.
    """
    runs: dict[str, tuple[str, Rehearsed]] = {}
    for entry in entries:
        body = entry.body
        if entry.kind in (PREPARED, REFUSED) and _TOLD(body) and body["command"] and not body.get("redoes"):
            one = _rehearsed(entry.at, body)
            written, before = runs.get(entry.change, (line(body["command"]), one))
            slowest = max(one.duration_s, before.duration_s)
            runs[entry.change] = written, Rehearsed(max(one.at, before.at), slowest, one.failed or before.failed)
    told = list(runs.values())
    told += [(line(body["command"]), _rehearsed(at, body)) for at, body in let_go if _TOLD(body) and body["command"]]
    return dict(sorted(told, key=lambda row: row[1].at))


def _rehearsed(at: float, body: Mapping[str, Any]) -> Rehearsed:
    return Rehearsed(at, float(body["rehearsed"]["duration_s"]), body["rehearsed"]["failed"] is not None)
