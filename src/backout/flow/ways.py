"""The ways out of an environment that `panic` knows, each with how long it took: done, or in rehearsal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from backout.config.values import Command
from backout.flow.backups import by_themselves
from backout.flow.incidents import NO_ENVIRONMENT
from backout.flow.instant import instant
from backout.model.incident import Entry, Row
from backout.model.ledger import LedgerEntry
from backout.model.redact import redact_words
from backout.model.ways import REHEARSAL, Rehearsed, line, rehearsed, ways_out

MOST_WAYS = 3


class Scene(NamedTuple):
    """What ways out are looked for in: an environment and its hosts, by all their names, and what is on record.

    `entries` are those of its ledgers, `lines` those of its incidents' timelines, `rows` all that the journal has.
    `but` are names that stand for something else: backups, and the tests of their restore.
    """

    environment: str
    hosts: Collection[str]
    entries: Iterable[LedgerEntry]
    lines: Iterable[Entry]
    rows: Iterable[Row]
    but: Collection[str] = ()


def ways(
    scene: Scene,
    commands: Iterable[Command],
    do: Callable[..., list[str]],
    run: Callable[[str], list[str]],
) -> list[dict[str, Any]]:
    """Give the ways out that were measured last: done under a name, or named in the configuration and rehearsed.

    `do` writes the command that does something under a name, `run` the one that runs what has a name.
    """
    known = rehearsed(scene.entries, _let_go(scene))
    found: dict[str, tuple[float, dict[str, Any]]] = {}
    for way in ways_out([*scene.lines, *by_themselves(scene.rows, scene.hosts)]):
        if way.name in scene.but:
            continue
        written, codes = line(way.command), way.exit_codes
        took = [s for s, code in zip(way.durations_s, codes, strict=True) if code == 0]
        here = known.get(written)
        told = way_told(way.name, do(way.name, *way.command), took, sum(map(bool, codes)), here)
        found.setdefault(written, (max(way.at, here.at if here else 0.0), told))
    for named in commands:
        (written,) = redact_words([named.run])
        if (here := known.get(written)) is not None:
            found.setdefault(written, (here.at, way_told(named.name, run(named.name), [], 0, here)))
    return [told for _, told in sorted(found.values(), key=lambda way: way[0], reverse=True)[:MOST_WAYS]]


def _let_go(scene: Scene) -> list[tuple[float, Mapping[str, Any]]]:
    """Give when and what was rehearsed on the environment, and let go."""
    rows = [row for row in scene.rows if row.type == REHEARSAL]
    return [(row.at, row.body) for row in rows if (row.body.get("environment") or NO_ENVIRONMENT) == scene.environment]


def way_told(
    name: str, command: list[str], took: list[float], failed: int = 0, rehearsal: Rehearsed | None = None
) -> dict[str, Any]:
    """Tell of a way out: the command that takes it, how long it took each time, and how its rehearsal went."""
    known: dict[str, Any] = {"durations_s": took, "failed": failed, "rehearsed": None}
    if rehearsal is not None:
        at, duration_s, is_red = rehearsal
        known["rehearsed"] = {"at": instant(at), "duration_s": duration_s, "failed": is_red}
    return {"name": name, "command": command, **known}
