"""Waves: apply and check on each host of a wave, and keep the wave when all of it is well."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from backout.errors import BackoutError, NeedsPersonError
from backout.flow.fleet import At, Fleet, Overview
from backout.flow.rehearse import Measured, Wanted, as_judged
from backout.flow.run import After, after_failed_apply, keep, look_after, take_it_back
from backout.flow.session import Session
from backout.link.wire import interrupts
from backout.model.rollout import KEPT, Pace

BACKED_OUT, FAILED, REFUSED, UNKNOWN, UNTOUCHED, STUCK, STANDING = (
    "backed out",
    "failed",
    "refused",
    "unknown",
    "untouched",
    "needs a person",
    "standing",
)
"""What became of a host, besides `kept`: `failed` is as before; `standing` had it before or needed nothing."""
_TICK_S = 0.05
LIMIT_S = 900.0
"""How long a host may take for a rehearsal, or its part of a wave, besides the command and the checks."""


class Outcome(NamedTuple):
    """What became of the change on a host."""

    state: str
    what: str
    next: str = ""
    exit_code: int = 0


class Order(NamedTuple):
    """What waves carry out: on each host what was measured there, with what its ledger holds of it."""

    wanted: Wanted
    measured: Mapping[str, Measured]
    bodies: Mapping[str, dict[str, Any]]
    pace: Pace
    waves: Sequence[tuple[str, ...]]
    tell: Overview


class Rolled(NamedTuple):
    """How the waves went: the state of each, and what became of each host; `interrupted` when Ctrl-C stopped them."""

    waves: list[str]
    hosts: dict[str, Outcome]
    interrupted: bool


class _Applied(NamedTuple):
    """A host that is applied and undecided, or (without `after`) what became of it instead."""

    after: After | None
    outcome: Outcome = Outcome(UNKNOWN, "")

    @property
    def is_well(self) -> bool:
        return self.after is not None and self.after.problem is None


def roll(fleet: Fleet, order: Order) -> Rolled:
    """Go through the waves; stop after the one with which too many hosts have failed, which is backed out.

    Ctrl-C stops after the wave that is under way.
    """
    rolled = Rolled([UNTOUCHED] * len(order.waves), {}, interrupted=False)
    with interrupts(fleet.stop):
        for number, wave in enumerate(order.waves):
            if number:
                _pause(fleet, order, number)
            if fleet.stopped:
                return rolled._replace(interrupted=True)
            order.tell.step(f"wave {number + 1} of {len(order.waves)}")
            _wave(fleet, order, wave, rolled.hosts)
            kept = any(rolled.hosts[host].state == KEPT for host in wave)
            rolled.waves[number] = KEPT if kept else BACKED_OUT
            if _failures(rolled.hosts) > order.pace.max_failures:
                break
    return rolled._replace(interrupted=fleet.stopped and len(rolled.hosts) < sum(map(len, order.waves)))


def _pause(fleet: Fleet, order: Order, number: int) -> None:
    """Wait before a wave, until an interrupt."""
    over = time.monotonic() + order.pace.pause_s
    if order.pace.pause_s:
        order.tell.step(f"{order.pace.pause_s:.0f} s pause before wave {number + 1} of {len(order.waves)}")
    while not fleet.stopped and time.monotonic() < over:
        time.sleep(_TICK_S)


def _failures(hosts: Mapping[str, Outcome]) -> int:
    return sum(outcome.state != KEPT for outcome in hosts.values())


def _wave(fleet: Fleet, order: Order, wave: tuple[str, ...], hosts: dict[str, Outcome]) -> None:
    """Apply and check on every host of a wave; then keep it, or back it out."""
    applied: dict[str, _Applied] = _each(fleet, order, wave, lambda session, measured: _apply(session, order, measured))
    failed = [host for host in wave if not applied[host].is_well]
    stops = _failures(hosts) + len(failed) > order.pace.max_failures

    def decide(session: Session, measured: Measured) -> Outcome:
        mine = applied[session.host]
        if mine.after is None:
            return mine.outcome
        if mine.is_well and not stops:
            return _keep(session, measured, mine.after)
        what = mine.after.problem or f"The wave is backed out, because of {', '.join(failed)}."
        return _back_out(session, order.wanted, measured, what)

    hosts |= _each(fleet, order, wave, decide)


def _each(fleet: Fleet, order: Order, wave: tuple[str, ...], act: Callable[[Session, Measured], Any]) -> dict[str, Any]:
    """Do something on every host of a wave; an interrupt lets it end."""
    results: dict[str, Any] = fleet.each(
        lambda session: act(session._replace(tell=At(order.tell, session.host)), order.measured[session.host]),
        wave,
        interruptible=False,
        limit_s=_limit_s(fleet, order.wanted, wave),
    )
    for result in results.values():
        if isinstance(result, BackoutError):
            raise result  # what goes wrong on a host is what `act` gives: this is a bug
    return results


def _limit_s(fleet: Fleet, wanted: Wanted, wave: Sequence[str]) -> float | None:
    """Give the time that a host of a wave may take; nobody knows how long a command after the apply takes."""
    checks = fleet.session(wave[0]).checks
    return None if wanted.after else LIMIT_S + sum(check.within_s for check in checks)


def _apply(session: Session, order: Order, measured: Measured) -> _Applied:
    """Apply and check; the change stays undecided."""
    body, document = order.bodies[session.host], as_judged(measured.document)
    session.tell.step("applying")
    try:
        session.link.ask("apply", change=measured.change, body=body, document=document)
    except BackoutError as error:
        return _Applied(None, _not_applied(session, measured, error))
    try:
        after = look_after(session, order.wanted, measured)
    except BackoutError as error:
        if _answers(session):
            return _Applied(After((), f"It was applied, but not checked. {error.what}"))
        return _Applied(None, _lost(error))
    measured.document["checks"] += [result._asdict() for result in after.results]
    return _Applied(after)


def _not_applied(session: Session, measured: Measured, error: BackoutError) -> Outcome:
    try:
        after_failed_apply(session, measured, error)
    except NeedsPersonError as worse:
        return Outcome(STUCK, worse.what, worse.next, worse.exit_code)
    except BackoutError:
        return _lost(error)
    session.tell.step("failed")
    return Outcome(FAILED, error.what, error.next, error.exit_code)


def _keep(session: Session, measured: Measured, after: After) -> Outcome:
    try:
        keep(session, measured, after)
    except BackoutError as error:
        return _lost(error)
    session.tell.step("kept")
    return Outcome(KEPT, "It is applied, and all is well.")


def _back_out(session: Session, wanted: Wanted, measured: Measured, what: str) -> Outcome:
    try:
        take_it_back(session, wanted, measured, what)
    except NeedsPersonError as error:
        return Outcome(STUCK, error.what, error.next, error.exit_code)
    except BackoutError as error:
        return _lost(error)
    session.tell.step("backed out")
    return Outcome(BACKED_OUT, what, f"backout show {measured.change}", 4)


def _lost(error: BackoutError) -> Outcome:
    """Say that only the host's ledger knows where its change stands."""
    return Outcome(UNKNOWN, error.what, error.next or "backout recover", error.exit_code)


def _answers(session: Session) -> bool:
    try:
        session.link.ask("hello")
    except BackoutError:
        return False
    return True
