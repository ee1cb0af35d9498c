"""`backout back` on several hosts: one change after the other, on all hosts where it stands, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from backout.errors import BackoutError, UsageError
from backout.flow.back import Target, Walk
from backout.flow.fleet import Fleet
from backout.flow.session import Session
from backout.link.wire import CHANGING_S

Answers = dict[str, dict[str, Any] | BackoutError]
"""Each host's document, or what went wrong there; in the order of the environment."""


def back(fleet: Fleet, target: Target) -> Answers:
    """Take back the newest change of any host, or down to one, on every host where it stands and is the newest.

    One change is taken back on all its hosts, under one id, before the next one is begun. What goes wrong on one host,
    a conflict or a check that turns red, ends it there. Ctrl-C lets what is begun be finished, and no change begin.
    """
    results: dict[str, Any] = dict(fleet.each(lambda session: Walk(session, target)))
    _require_something(fleet, target, results)
    taken: list[str] = []
    while not fleet.stopped and (heads := _newest(results, target)):
        walk = next(iter(heads.values()))
        taken.append(walk.left[0]["id"])
        step = partial(_step, heads, walk.session.new_id())
        results |= _errors(fleet.each(step, heads, interruptible=False, limit_s=CHANGING_S))
        if target.change is None and not target.until_healthy:
            break
    going = _walks(results)
    results |= fleet.each(lambda session: going[session.host].end(), going, interruptible=False)
    return _answers(fleet, results, taken)


def _step(walks: Mapping[str, Walk], new: str, session: Session) -> None:
    walks[session.host].step(new)


def _walks(results: Mapping[str, Any]) -> dict[str, Walk]:
    return {host: walk for host, walk in results.items() if isinstance(walk, Walk)}


def _errors(results: Mapping[str, Any]) -> dict[str, BackoutError]:
    return {host: error for host, error in results.items() if isinstance(error, BackoutError)}


def _require_something(fleet: Fleet, target: Target, results: Mapping[str, Any]) -> None:
    """Refuse where no host has anything to take back: all were asked, and each was well enough to answer."""
    if fleet.failed or _errors(results) or any(walk.left for walk in _walks(results).values()):
        return
    if target.change is None:
        raise UsageError("Nothing stands that could be taken back.", next="backout log shows the record.")
    raise UsageError(f"Change {target.change} stands on none of the hosts.", next="backout log")


def _newest(results: Mapping[str, Any], target: Target) -> dict[str, Walk]:
    """Give the walks whose next change is the newest of all; with `until_healthy`, of all on hosts that are unwell."""
    going = {host: walk for host, walk in _walks(results).items() if walk.left and walk.goes_on}
    asking = [walk for walk in going.values() if walk.unwell or not target.until_healthy]
    if not asking:
        return {}
    newest = max((walk.left[0] for walk in asking), key=lambda change: float(change["at"]))["id"]
    return {host: walk for host, walk in going.items() if walk.left[0]["id"] == newest}


def _answers(fleet: Fleet, results: Mapping[str, Any], taken: list[str]) -> Answers:
    """Put together what became of each host; one that was not reached is told how to do it later."""
    for error in fleet.failed.values():
        if taken:
            error.next = f"{error.next} Then: backout back {taken[-1]}"
    return fleet.everyone(results)
