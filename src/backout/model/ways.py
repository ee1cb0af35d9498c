"""Ways out: commands that were done under a name, how long each took and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from backout.model import shape
from backout.model.incident import COMMAND, Entry

_DONE = shape.fields({"as": shape.text, "exit_code": shape.signed, "duration_s": shape.number})


class Way(NamedTuple):
    """A way out by its name, as it was last spelt, with the command that was last done under it.

    `durations_s` and `exit_codes` have one value for each time that it was done, the latest last.
    """

    name: str
    command: tuple[str, ...]
    durations_s: tuple[float, ...]
    exit_codes: tuple[int, ...]


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
        )
    return list(reversed(found.values()))
