"""`backout rehearse`: measure what a command would do; change nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from backout.errors import BackoutError, FailedError, RefusedError, UsageError
from backout.flow.session import Session
from backout.model.check import BEFORE, CheckResult
from backout.model.effect import Effect, effect_from
from backout.model.redact import redact, redact_words
from backout.model.reproduce import limits_of_two, mark_reproducible
from backout.model.selector import Selector, is_expected
from backout.model.verdict import ASK, REFUSE, Context, Verdict, judge
from backout.model.ways import REHEARSAL

if TYPE_CHECKING:
    from backout.config.values import Environment
    from backout.flow.guards import Guarding
    from backout.flow.staged import Twin
    from backout.model.staging import Staging
    from backout.store.journal import Journal


class Wanted(NamedTuple):
    """What a person asked for. `argv` with one word goes to sh -c; times in seconds.

    Without `cwd` and `environ` the command has those that a login has on the host.

    `recorded` is what the record shows as the command, where it differs from what is run (`edit`).
    """

    argv: tuple[str, ...]
    cwd: str | None
    environ: dict[str, str] | None
    expect: tuple[Selector, ...] = ()
    network: str = "packages"
    network_allow: tuple[str, ...] = ()
    timeout_s: float | None = None
    ok_exit: tuple[int, ...] = (0,)
    allow_failure: bool = False
    why: str = ""
    accept: str | None = None
    yes: bool = False
    after: str | None = None
    stdin: int | None = None
    terminal: bool = False
    recorded: tuple[str, ...] = ()
    twice: bool = False
    advice: str | None = None
    """What helps when the command fails, where that is not what helps usually."""
    name: str = ""
    """What the command is called in backout.toml, where it is a named one."""


class Measured(NamedTuple):
    """A rehearsal and its judgement; `idle` tells that an apply would do nothing, `said` the command's last line.

    `asked` tells whether a person has to answer, as far as it is not a guard that refuses.
    """

    change: str
    document: dict[str, Any]
    verdict: Verdict
    failed: int | None
    before: tuple[CheckResult, ...]
    idle: bool = False
    said: str = ""
    asked: bool = False


def measure(session: Session, wanted: Wanted) -> Measured:
    """Run live checks, rehearse, judge. The host keeps the rehearsal until it is applied, refused or let go."""
    require_harmless_after(wanted.after)
    before = session.live_checks(BEFORE)
    change = session.new_id()
    session.tell.step("rehearsing")
    answer = _rehearsed(session, change, wanted, checks=[check._asdict() for check in session.checks])
    document = answer["document"]
    results = [*before, *(CheckResult(**row) for row in document["checks"])]
    code = document["exit_code"]
    failed = None if code in wanted.ok_exit or wanted.allow_failure else code
    context = Context(
        digest=document["digest"],
        failed=failed,
        advice=wanted.advice or Context._field_defaults["advice"],
        expecting=bool(wanted.expect),
        accept=wanted.accept,
        yes=wanted.yes,
        checks=results,
        obstacles=answer["obstacles"],
    )
    verdict = judge(marked(document, wanted.expect), context)
    document.update(
        environment=None if session.environment is None else session.environment.name,
        command=redact_words(wanted.recorded or wanted.argv),
        checks=[result._asdict() for result in results],
        limits=[
            *document["limits"],
            *(f"{path}: {what}" for path, what in answer["moved"].items()),
            *limits_of_after(wanted.after),
        ],
        verdict=verdict.document(),
    )
    if wanted.twice:
        document.update(_compared(document, _once_more(session, wanted)))
    idle, said = not answer["steps"], answer["said"]
    return held(session, wanted, Measured(change, document, verdict, failed, tuple(before), idle=idle, said=said))


def held(session: Session, wanted: Wanted, measured: Measured, bits: str | None = None) -> Measured:
    """Hold what was measured against all that a session knows (`hold`).

    `bits` is the change whose recorded bits it is, where it is no rehearsal.
    """
    measured = measured._replace(asked=measured.verdict.decision == ASK)
    if session.twin is None and session.guarding is None:
        return measured
    assert session.journal is not None  # noqa: S101 - whoever gives a twin or guards gives a journal, too

    def texts(measured: Measured, paths: Sequence[str]) -> dict[str, str | None]:
        found: dict[str, str | None] = session.link.ask("texts", change=bits or measured.change, paths=list(paths))
        return found

    step, environment = session.tell.step, session.environment
    against = Against(session.twin, session.guarding, environment, session.journal, wanted, texts, step)
    (found,) = hold(against, [measured])
    return found


class Against(NamedTuple):
    """What rehearsals are held against: the environment that this one should be like, and guards, as far as there are.

    `texts` reads files as a rehearsal left them; `step` says what begins now.
    """

    twin: Twin | None
    guarding: Guarding | None
    environment: Environment | None
    journal: Journal
    wanted: Wanted
    texts: Callable[[Measured, Sequence[str]], Mapping[str, str | None]]
    step: Callable[[str], None]


def hold(against: Against, measured: Sequence[Measured]) -> list[Measured]:
    """Hold rehearsals of one command, on as many hosts, against what there is, and let the guards judge them.

    Guards have nothing to say of one that would do nothing.
    """
    staging: dict[str, Staging] = {}
    if against.twin is not None and measured:
        from backout.flow.staged import held_against  # only where there is one: it costs nobody else a moment

        against.step(f"asking {against.twin.name} what it did there")
        staging = held_against(against.twin, against.journal, measured)
    busy = [one for one in measured if not one.idle]
    if against.guarding is None or not busy:
        return list(measured)
    from backout.flow.guards import Hearing, judged

    _, _, environment, journal, wanted, texts, step = against
    hearing = Hearing(against.guarding, environment, journal, wanted, texts, step)
    told = iter(judged(hearing, busy, staging))
    return [one if one.idle else next(told) for one in measured]


def marked(document: dict[str, Any], expect: Sequence[Selector]) -> Iterator[Effect]:
    """Mark in a document which effects were expected; gives them one by one, as values."""
    for row in document["effects"]:
        effect = effect_from(row)
        row["expected"] = is_expected(effect, expect)
        yield effect._replace(expected=row["expected"])


def as_judged(document: dict[str, Any]) -> dict[str, Any]:
    """Give the document for the host, which has the effects: without them, but for what was expected.

    How they differed from another environment's was true at that moment, and is no part of its record.
    """
    rest = {name: value for name, value in document.items() if name not in ("effects", "compared")}
    return {**rest, "expected": [row["expected"] for row in document["effects"]]}


def require_harmless_after(command: str | None) -> None:
    """Refuse a command after the apply that holds a secret: the record keeps it as it is, to run it once more."""
    if command is not None and redact(command) != command:
        raise UsageError(
            "--after holds what looks like a secret, and the record would keep it.",
            next="Put the command into a script that reads the secret from a file, and give that.",
        )


def limits_of_after(command: str | None) -> list[str]:
    """Say what is not known of the command after the apply."""
    if command is None:
        return []
    return [f"Run live after the apply, without a rehearsal, and nothing takes it back: {redact(command)}"]


def _rehearsed(session: Session, change: str, wanted: Wanted, checks: list[dict[str, Any]]) -> dict[str, Any]:
    """Ask for the rehearsal; one that an interrupt made pointless is let go."""
    try:
        answer: dict[str, Any] = session.link.ask(
            "rehearse",
            change=change,
            argv=list(wanted.argv) if len(wanted.argv) != 1 else ["/bin/sh", "-c", wanted.argv[0]],
            **({} if wanted.cwd is None else {"cwd": wanted.cwd}),
            **({} if wanted.environ is None else {"environ": wanted.environ}),
            network=wanted.network,
            network_allow=list(wanted.network_allow),
            timeout_s=wanted.timeout_s,
            checks=checks,
            stdin=wanted.stdin,
            terminal=wanted.terminal,
        )
    except KeyboardInterrupt:
        session.link.ask("let_go", change=change)
        raise
    return answer


def refusal(measured: Measured, kind: type[BackoutError] | None = None) -> BackoutError:
    """Turn a refusing verdict into its error.

    The command's own failure is a failure (1), every other reason a refusal (3).
    """
    reason = measured.verdict.reasons[0]
    only_failed = measured.failed is not None and len(measured.verdict.reasons) == 1
    chosen = kind or (FailedError if only_failed else RefusedError)
    return chosen(reason.what, reason.state, reason.next)


def _once_more(session: Session, wanted: Wanted) -> list[Effect]:
    """Rehearse the same once more, without the checks; gives the effects, and nothing of it is left."""
    session.tell.step("rehearsing a second time")
    change = session.new_id()
    answer = _rehearsed(session, change, wanted, checks=[])
    session.link.ask("let_go", change=change)
    return [effect_from(effect) for effect in answer["document"]["effects"]]


def _compared(document: dict[str, Any], again: list[Effect]) -> dict[str, Any]:
    """Say in the document what a second rehearsal did not give again (traps B8)."""
    effects = mark_reproducible([effect_from(effect) for effect in document["effects"]], again)
    return {
        "effects": [effect.document() for effect in effects],
        "limits": [*limits_of_two(effects, again), *document["limits"]],
    }


def took(measured: Sequence[Measured]) -> dict[str, Any]:
    """Tell how long a command took in its rehearsal, on the slowest of its hosts, and with what it failed."""
    return {
        "duration_s": max(one.document["duration_s"] for one in measured),
        "failed": next((one.failed for one in measured if one.failed is not None), None),
    }


def remember(journal: Journal, who: str, measured: Sequence[Measured]) -> None:
    """Put on record how a command's rehearsal went that is let go, on its hosts: whoever is in a hurry wants to know.

    It is a figure, no more: a journal that does not take it keeps nobody from what was measured.
    """
    first = measured[0].document
    body = {
        **{name: first[name] for name in ("environment", "command", "digest")},
        "hosts": [one.document["host"] for one in measured],
        "rehearsed": took(measured),
    }
    at = datetime.fromisoformat(first["started_at"]).timestamp()
    with contextlib.suppress(BackoutError):
        journal.append(at=at, actor=who, type=REHEARSAL, body=body)


def rehearse(session: Session, wanted: Wanted) -> tuple[dict[str, Any], int]:
    """Measure and let go; gives the document and the exit code: 3 exactly when `run` would refuse."""
    measured = measure(session, wanted)
    session.link.ask("let_go", change=measured.change)
    if session.journal is not None:
        remember(session.journal, str(session.who), [measured])
    document = {**measured.document, "change": None}
    if measured.verdict.decision != REFUSE:
        return document, 0
    return document, refusal(measured).exit_code
