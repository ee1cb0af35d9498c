"""Pauses: units that were stopped so that they do not undo a fix, and what starts them again. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from backout.model.ledger import Change, LedgerEntry, by_host, fold, is_pause

_STOP, _START = ["systemctl", "stop"], ["systemctl", "start"]


class Paused(NamedTuple):
    """Units that a change stopped on a host, and that were not started since; `at` is seconds since the epoch, UTC.

    `host` is as its ledger names it. `back` tells whether taking the change back starts them and does nothing else.
    """

    change: str
    host: str
    at: float
    units: tuple[str, ...]
    back: bool

    def start(self) -> list[str]:
        """Give the words after `backout` that start them again, and leave all else as it is."""
        return ["back", self.change] if self.back else ["run", "--", "systemctl", "start", *self.units]


def paused(entries: Iterable[LedgerEntry], environment: str, hosts: Collection[str]) -> list[Paused]:
    """Tell what changes of an environment stopped that still stand, on its `hosts` whoever did it; oldest first."""
    found: list[Paused] = []
    for host, lines in by_host(entries).items():
        standing = [change for change in fold(lines) if change.stands]
        others = [change.id for change in standing if not is_pause(change.body)]
        for number, change in enumerate(standing):
            stopped, later = _stopped(change), {unit for one in standing[number:] for unit in _started(one)}
            units = tuple(unit for unit in stopped if unit not in later)
            if units and (host in hosts or change.body.get("environment") == environment):
                alone = change.id in others[-1:] or is_pause(change.body)
                found.append(Paused(change.id, host, change.at, units, alone and len(units) == len(stopped)))
    return sorted(found, key=lambda one: one.at)


def _stopped(change: Change) -> list[str]:
    words = list(change.body.get("command", ()))
    return words[2:] if is_pause(change.body) or words[:2] == _STOP else []


def _started(change: Change) -> list[str]:
    words = list(change.body.get("command", ()))
    return words[2:] if words[:2] == _START else []
