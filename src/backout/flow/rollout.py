"""`backout rehearse` and `backout run` on several hosts: rehearse all, see who is alike, then go in waves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from backout.config.values import Environment
from backout.errors import BackoutError, RefusedError, UsageError
from backout.flow.alike import Judged, judged
from backout.flow.fleet import At, Fleet, Overview, exit_code
from backout.flow.rehearse import Against, Measured, Wanted, hold, measure, remember
from backout.flow.resume import EVENT, found_wish, stand, wanted_again, wish
from backout.flow.run import body_of, record_refusal
from backout.flow.session import Session, Who, require_finished
from backout.flow.waves import FAILED, LIMIT_S, REFUSED, STANDING, UNTOUCHED, Order, Outcome, Rolled, roll
from backout.link.wire import interrupts
from backout.model.redact import redact_words
from backout.model.rollout import KEPT, Standing, attempt, waves
from backout.model.verdict import ALLOW, ASK, REFUSE, Reason, Verdict
from backout.store.journal import Journal

if TYPE_CHECKING:
    from backout.flow.guards import Guarding
    from backout.flow.staged import Twin

INTERRUPTED = 130


class Asked(NamedTuple):
    """A command for the hosts of an environment; `odd` names those that may differ from the others."""

    environment: Environment
    wanted: Wanted
    odd: frozenset[str] = frozenset()


class Desk(NamedTuple):
    """What a rollout is led from: who leads it, the journal of this thread, and how it tells and asks.

    `twin` is the environment that this one should be like, where there is one, `guarding` what guards judge.
    """

    who: Who
    journal: Journal
    tell: Overview
    new_id: Callable[[], str]
    twin: Twin | None = None
    guarding: Guarding | None = None


def require_known(environment: Environment, odd: Iterable[str]) -> None:
    """Refuse a name that is no host of the environment."""
    for host in odd:
        if host not in environment.hosts:
            hosts = ", ".join(environment.hosts)
            raise UsageError(f"{host} is no host of {environment.name}.", next=f"Its hosts are {hosts}.")


def rehearse(fleet: Fleet, asked: Asked, desk: Desk) -> tuple[dict[str, Any], int]:
    """Rehearse on every host at the same time; give the `backout.rehearsals/1` document and the exit code."""
    found = _rehearsed(fleet, asked, desk, dict.fromkeys(fleet.reached, desk.new_id()))
    _let_go(fleet, found, found.measured)
    if found.measured:
        remember(desk.journal, str(desk.who), [*found.measured.values()])
    document = _document(asked, found, None)
    desk.tell.show(document)
    return document, document["exit_code"]


def run(fleet: Fleet, asked: Asked, desk: Desk) -> tuple[dict[str, Any], int]:
    """Rehearse everywhere, ask once, then go in waves; give the document of what became of it and the exit code."""
    rollout = desk.new_id()
    found = _rehearsed(fleet, asked, desk, dict.fromkeys(fleet.reached, rollout))
    return _go(fleet, asked, desk, _Rollout(rollout, found, {}))


def resume(fleet: Fleet, asked: Asked, desk: Desk, rollout: str) -> tuple[dict[str, Any], int]:
    """Go on with a rollout: hosts that have its change are done, the others are rehearsed and must be as recorded.

    Who is odd is named anew: what that host would get may be something else by now.
    """
    desk.tell.step("reading what stands where")
    recorded = found_wish(fleet, desk.journal, rollout)
    rollout = recorded["id"]
    asked = asked._replace(wanted=wanted_again(recorded, asked.wanted, asked.environment.name))
    standing = {host: found for host, found in stand(fleet, rollout).items() if host in recorded["hosts"]}
    done = {host: found for host, found in standing.items() if found.state == KEPT}
    ids = {host: attempt(found, rollout) for host, found in standing.items() if host not in done}
    return _go(fleet, asked, desk, _Rollout(rollout, _rehearsed(fleet, asked, desk, ids), done))


class _Rollout(NamedTuple):
    id: str
    found: Judged
    done: Mapping[str, Standing]


def _rehearsed(fleet: Fleet, asked: Asked, desk: Desk, ids: Mapping[str, str]) -> Judged:
    """Rehearse on these hosts, each under its id, and judge them together."""
    desk.tell.step(f"rehearsing on {_hosts(len(ids))}")

    def act(session: Session) -> Measured:
        session = _told(session, desk)
        require_finished(session)
        own = session._replace(new_id=lambda: ids[session.host])
        measured = measure(own, _of_host(asked, session.host))
        effects = measured.document["effects"]
        shared = known.setdefault(measured.document["digest"], effects)
        measured.document["effects"] = shared if shared == effects else effects  # in memory once, not once a host
        return measured

    known: dict[str, list[Any]] = {}
    results = fleet.each(act, ids, limit_s=_limit_s(asked))
    measured = {host: result for host, result in results.items() if isinstance(result, Measured)}
    results.update(_held(fleet, asked, desk, measured))
    return judged(results, fleet.failed, asked.wanted.accept, asked.odd)


def _held(fleet: Fleet, asked: Asked, desk: Desk, measured: dict[str, Measured]) -> dict[str, Measured]:
    """Hold rehearsals against what there is; files are asked of the host whose rehearsal it is."""

    def texts(one: Measured, paths: Sequence[str]) -> dict[str, str | None]:
        host = next(host for host, other in measured.items() if other.document is one.document)
        found: Any = fleet.each(lambda session: session.link.ask("texts", change=one.change, paths=list(paths)), [host])
        return {} if isinstance(found[host], BackoutError) else found[host]

    step = desk.tell.step
    against = Against(desk.twin, desk.guarding, asked.environment, desk.journal, asked.wanted, texts, step)
    return dict(zip(measured, hold(against, [*measured.values()]), strict=True))


def _limit_s(asked: Asked) -> float | None:
    """Give the time that a host may take for a rehearsal; nobody knows how long a command without a limit takes."""
    wanted = asked.wanted
    checks_s = 2 * sum(check.within_s for check in asked.environment.checks)
    return None if wanted.timeout_s is None else wanted.timeout_s + LIMIT_S + checks_s


def _of_host(asked: Asked, host: str) -> Wanted:
    """Give what is wanted of a host: one that was named as odd is not held against what was accepted for the others."""
    wanted = asked.wanted
    if host in asked.odd and wanted.accept is not None:
        return wanted._replace(accept=None, yes=True)
    return wanted


def _told(session: Session, desk: Desk) -> Session:
    return session._replace(tell=At(desk.tell, session.host))


def _let_go(fleet: Fleet, found: Judged, hosts: Iterable[str]) -> None:
    def let_go(session: Session) -> None:
        session.link.ask("let_go", change=found.measured[session.host].change)

    found.miss(fleet.each(let_go, [host for host in hosts if host in fleet.reached]))


def _go(fleet: Fleet, asked: Asked, desk: Desk, rollout: _Rollout) -> tuple[dict[str, Any], int]:
    """Decide, go in waves, and tell what became of it."""
    found = rollout.found
    order, recorded = _order(fleet, asked, desk, rollout)
    going = [host for wave in order.waves for host in wave]
    if going and not _decided(found, going, order, _document(asked, found, None), desk):
        found.decided(going, Verdict(REFUSE, (_unanswered(found),)))
        going = []
    if not going:
        _record_refusals(fleet, order, found, desk)
        done = _outcomes(asked, rollout, None) if rollout.done or found.idle else None
        document = _document(asked, found, done and _told_rollout(rollout.id, [], done))
        desk.tell.show(document)
        return document, document["exit_code"]
    found.decided(going, Verdict(ALLOW))
    _record(desk, asked, recorded, "begun", {})
    with interrupts(fleet.stop):  # from here on it is only noted: what stands where is told in the end
        _record_refusals(fleet, order, found, desk)
        rolled = roll(fleet, order)
        outcomes = _outcomes(asked, rollout, rolled)
        told = [{"hosts": list(wave), "state": state} for wave, state in zip(order.waves, rolled.waves, strict=True)]
        document = _document(asked, found, _told_rollout(rollout.id, told, outcomes))
        if rolled.interrupted:
            document["exit_code"] = INTERRUPTED
        desk.tell.show(document)
        _record(desk, asked, recorded, "interrupted" if rolled.interrupted else "ended", outcomes)
    return document, document["exit_code"]


def _order(fleet: Fleet, asked: Asked, desk: Desk, rollout: _Rollout) -> tuple[Order, dict[str, Any]]:
    """Plan the waves, and put together what each host's ledger is to hold: its change, and all that a resume needs."""
    found = rollout.found
    going = [host for host in asked.environment.hosts if found.goes(host)]
    planned = waves(going, asked.environment.pace)
    recorded = wish(
        rollout.id,
        asked.wanted,
        digest=asked.wanted.accept or found.digest,
        hosts=asked.environment.hosts,
        odd=asked.odd,
        planned=planned,
    )
    bodies = {
        host: {**body_of(fleet.session(host), asked.wanted, measured), "rollout": recorded}
        for host, measured in found.measured.items()
    }
    return Order(asked.wanted, found.measured, bodies, asked.environment.pace, planned, desk.tell), recorded


def _decided(found: Judged, going: list[str], order: Order, document: dict[str, Any], desk: Desk) -> bool | None:
    """Ask once, where there is something to ask."""
    if all(found.measured[host].verdict.decision != ASK for host in going):
        return True
    in_waves = "" if len(order.waves) == 1 else f", in {len(order.waves)} waves"
    return desk.tell.ask(f"Apply exactly this to {_hosts(len(going))}{in_waves}?", document)


def _unanswered(found: Judged) -> Reason:
    what = "It was not answered with yes: nothing was applied."
    accept = f"To apply exactly this: give --accept {found.digest}"
    return Reason(what, next=accept if found.digest else "Answer with yes, or give --yes.")


def _record_refusals(fleet: Fleet, order: Order, found: Judged, desk: Desk) -> None:
    """Record on each host that was refused what was refused there; let go of what would do nothing, or failed."""
    refused = [host for host, m in found.measured.items() if m.verdict.decision == REFUSE and m.failed is None]

    def refuse(session: Session) -> None:
        record_refusal(_told(session, desk), found.measured[session.host], order.bodies[session.host])

    found.miss(fleet.each(refuse, [host for host in refused if host in fleet.reached], interruptible=False))
    _let_go(fleet, found, [host for host, m in found.measured.items() if host in found.idle or m.failed is not None])


def _outcomes(asked: Asked, rollout: _Rollout, rolled: Rolled | None) -> dict[str, Outcome]:
    """Say of every host of the environment what became of it."""
    name, found = asked.environment.name, rollout.found
    on = f"backout run -e {name} --resume {rollout.id}"
    outcomes: dict[str, Outcome] = {}
    for host in asked.environment.hosts:
        if host in rollout.done:
            outcomes[host] = Outcome(STANDING, f"It has change {rollout.done[host].id} already.")
        elif host in found.idle:
            outcomes[host] = Outcome(STANDING, "There is nothing to change.")
        elif error := found.failed.get(host):
            outcomes[host] = Outcome(FAILED, error.what, error.next, error.exit_code)
        elif host in found.measured and not found.goes(host):
            reason = found.measured[host].verdict.reasons[0]
            outcomes[host] = Outcome(REFUSED, reason.what, reason.next, RefusedError.exit_code)
        elif rolled is not None and host in rolled.hosts:
            outcomes[host] = rolled.hosts[host]
        elif host in found.measured:  # any other is a second name of a machine
            outcomes[host] = Outcome(UNTOUCHED, "The rollout stopped before it.", on, 1)
    return outcomes


def _told_rollout(rollout: str, told: list[dict[str, Any]], outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    hosts = [{"host": host, **outcome._asdict()} for host, outcome in outcomes.items()]
    return {"id": rollout, "waves": told, "hosts": hosts}


def _document(asked: Asked, found: Judged, rollout: dict[str, Any] | None) -> dict[str, Any]:
    """Give the document; without a rollout its exit code says what `run` would do."""
    failed: list[dict[str, Any]] = [
        {"host": host, "exit_code": error.exit_code, "what": error.what, "state": error.state, "next": error.next}
        for host, error in found.failed.items()
    ]
    codes: list[int] = [row["exit_code"] for row in (failed if rollout is None else rollout["hosts"])]
    if rollout is None:
        codes += [RefusedError.exit_code for m in found.measured.values() if m.verdict.decision == REFUSE]
    return {
        "schema": "backout.rehearsals/1",
        "environment": asked.environment.name,
        "command": redact_words(asked.wanted.recorded or asked.wanted.argv),
        "groups": found.groups(),
        "failed": failed,
        "rollout": rollout,
        "exit_code": exit_code(codes),
    }


def _record(desk: Desk, asked: Asked, recorded: dict[str, Any], state: str, outcomes: Mapping[str, Outcome]) -> None:
    body = {
        "environment": asked.environment.name,
        "state": state,
        "wish": recorded,
        "hosts": {host: outcome.state for host, outcome in outcomes.items()},
    }
    desk.journal.append(at=time.time(), actor=str(desk.who), type=EVENT, body=body)


def _hosts(count: int) -> str:
    return "1 host" if count == 1 else f"{count} hosts"
