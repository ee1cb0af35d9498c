"""A change of several hosts: which are alike, which go when, and what stands where. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from backout.model import shape
from backout.model.check import HEALTHY, NOT_RUN, UNHEALTHY

NOT_THERE, APPLIED, KEPT, UNDONE, REFUSED = "not there", "applied", "kept", "undone", "refused"
"""Where a rollout's change stands on a host: `applied` is any state that a crash left, and recovery decides."""
_STATES = {"prepared": APPLIED, "applied": APPLIED, "undoing": APPLIED, "kept": KEPT, "undone": UNDONE}
_WORST = (UNHEALTHY, NOT_RUN, HEALTHY)
_SHARE = re.compile(r"([1-9][0-9]?|100)%|([1-9][0-9]{0,5})")


class Pace(NamedTuple):
    """How a rollout goes: `canary` hosts first, then `wave` at a time (a number, or a share such as 25%).

    `pause_s` is waited between waves; more failed hosts than `max_failures` stop it.
    """

    canary: int = 1
    wave: str = "25%"
    pause_s: float = 0.0
    max_failures: int = 0


class Group(NamedTuple):
    """Hosts on which a command has the very same effects, in the order of the environment."""

    digest: str
    hosts: tuple[str, ...]


class Standing(NamedTuple):
    """Where a rollout's change stands on a host: in `state`, as the change `id` (None where it never was there)."""

    state: str
    id: str | None = None


ROLLOUT = shape.fields(
    {
        "id": shape.name,
        "command": shape.many(shape.text),
        "redacted": shape.truth,
        "expect": shape.many(shape.text),
        "network": shape.one_of("none", "packages", "host"),
        "network_allow": shape.many(shape.text),
        "timeout_s": shape.maybe(shape.number),
        "ok_exit": shape.many(shape.whole),
        "allow_failure": shape.truth,
        "after": shape.maybe(shape.text),
        "why": shape.text,
        "digest": shape.text,
        "hosts": shape.many(shape.text),
        "odd": shape.many(shape.text),
        "waves": shape.many(shape.many(shape.text)),
    },
    closed=True,
)
"""A rollout's wish, as each host's `prepared` entry and the journal have it: with it anybody can go on."""


def is_share(text: str) -> bool:
    """Tell whether a text is a size of waves: a number from 1 on, or a share from 1% to 100%."""
    return _SHARE.fullmatch(text) is not None


def size(wave: str, hosts: int) -> int:
    """Give the hosts of a wave; a share is one of all hosts, and a part of a host counts as one."""
    match = _SHARE.fullmatch(wave)
    if match is None:
        raise ValueError(f"no size of waves: {wave!r}")
    return int(match[2]) if match[2] else max(1, -(-hosts * int(match[1]) // 100))


def waves(hosts: Sequence[str], pace: Pace) -> tuple[tuple[str, ...], ...]:
    """Put every host into exactly one wave, in their order: the canary first, then waves of one size."""
    first, rest = tuple(hosts[: pace.canary]), hosts[pace.canary :]
    step = size(pace.wave, len(hosts))
    return tuple(filter(None, (first, *(tuple(rest[at : at + step]) for at in range(0, len(rest), step)))))


def groups(digests: Mapping[str, str]) -> tuple[Group, ...]:
    """Group hosts by digest, the largest group first; those of one size by their first host."""
    found: dict[str, list[str]] = {}
    for host, digest in digests.items():
        found.setdefault(digest, []).append(host)
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    return tuple(Group(digest, tuple(hosts)) for digest, hosts in ordered)


def norm(found: Sequence[Group], accepted: str | None = None) -> Group | None:
    """Tell which group is what is meant: the accepted one, else the largest; of a tie, none."""
    if accepted is not None:
        return next((group for group in found if group.digest == accepted), None)
    if not found or (len(found) > 1 and len(found[0].hosts) == len(found[1].hosts)):
        return None
    return found[0]


def is_of(rollout: str, change: str) -> bool:
    """Tell whether a change is a rollout's: its id, or that of a later attempt on the same host, such as ID-2."""
    return change == rollout or re.fullmatch(re.escape(rollout) + "-[0-9]+", change) is not None


def standing(changes: Iterable[Mapping[str, Any]], rollout: str) -> Standing:
    """Fold a host's changes, oldest first, to where a rollout's change stands there.

    One that was kept and taken back later is undone.
    """
    found = Standing(NOT_THERE)
    for change in changes:
        if is_of(rollout, change["id"]):
            state = _STATES.get(change["state"], REFUSED)
            undone = state == KEPT and change["undone_by"] is not None
            found = Standing(UNDONE if undone else state, change["id"])
    return found


def attempt(found: Standing, rollout: str) -> str:
    """Name the next attempt on a host: the rollout's own id where it never was, then ID-2 and so on."""
    if found.id is None:
        return rollout
    number = 1 if found.id == rollout else int(found.id.rpartition("-")[2])
    return f"{rollout}-{number + 1}"


def together(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Give the checks of several hosts as one list: of each check at each moment the worst result, and whose it is."""
    worst: dict[tuple[str, str], dict[str, Any]] = {}
    for host, rows in results.items():
        for row in rows:
            known = worst.setdefault((row["name"], row["where"]), {**row, "host": host})
            if _WORST.index(row["result"]) < _WORST.index(known["result"]):
                worst[row["name"], row["where"]] = {**row, "host": host}
    return [_told(row, several=len(results) > 1) for row in worst.values()]


def _told(row: dict[str, Any], *, several: bool) -> dict[str, Any]:
    host = row.pop("host")
    named = several and row["result"] != HEALTHY and row["output"]
    return {**row, "output": f"{host}: {row['output']}" if named else row["output"]}
