"""`backout run`: rehearse, judge, apply exactly what was rehearsed, check.

Back out by itself when a check turned red.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from backout import __version__
from backout.errors import BackoutError, InterruptedError, NeedsPersonError, RefusedError
from backout.flow import documents
from backout.flow.rehearse import (
    Measured,
    Wanted,
    as_judged,
    held,
    limits_of_after,
    marked,
    measure,
    refusal,
    require_harmless_after,
    took,
)
from backout.flow.session import Session, require_finished
from backout.model.check import AFTER, BEFORE, UNHEALTHY, CheckResult, red_before, turned_red
from backout.model.redact import redact
from backout.model.verdict import ALLOW, ASK, REFUSE, Context, Reason, Verdict, judge

DONE, BACKED_OUT = 0, 4


class After(NamedTuple):
    """What followed an apply: what the checks said, and what is wrong (None: all is well)."""

    results: tuple[CheckResult, ...]
    problem: str | None


def run(session: Session, wanted: Wanted) -> tuple[dict[str, Any], int]:
    """Give the document of what was done and the exit code 0 or 4; everything else is raised."""
    require_finished(session)
    measured = measure(session, wanted)
    body = body_of(session, wanted, measured)
    try:
        measured = _decide(session, measured)
    except (BackoutError, KeyboardInterrupt):
        record_refusal(session, measured, body)
        raise
    if measured.idle:
        session.link.ask("let_go", change=measured.change)
        _note_idle(session, wanted, measured)
        return {**measured.document, "change": None}, DONE
    session.tell.step("applying")
    try:
        left = session.link.ask("apply", change=measured.change, body=body, document=as_judged(measured.document))
    except BackoutError as error:
        after_failed_apply(session, measured, error)
        raise
    except KeyboardInterrupt:
        raise _interrupted(session, measured.change, wanted) from None
    return settle(session, wanted, _with_what_was_left(measured, left))


def _note_idle(session: Session, wanted: Wanted, measured: Measured) -> None:
    """Tell the journal that a named command had nothing to do: no change tells of it, and a review may ask for it."""
    if session.journal is not None and wanted.name:
        red = red_before(list(measured.before))
        body = {"command": wanted.name, "environment": measured.document["environment"], "red": list(red)}
        session.journal.append(at=time.time(), actor=str(session.who), type=documents.IDLE, body=body)


def _with_what_was_left(measured: Measured, left: int) -> Measured:
    """Say how many of a change's noise paths were left to the host, which had newer ones by then."""
    if left:
        measured.document["limits"].append(
            f"Noise that the host renewed meanwhile keeps its live version: {left} paths."
        )
    return measured


def body_of(session: Session, wanted: Wanted, measured: Measured) -> dict[str, Any]:
    """Gather what the ledger holds of a change: who, why, what, where, and what recovery needs to check it.

    And what guards need that are asked about it later: what was expected, whether a person was asked, what they said.
    """
    guards = measured.document.get("guards")
    return {
        "release": __version__,
        "who": str(session.who),
        "why": redact(wanted.why),
        "command": measured.document["command"],
        "cwd": wanted.cwd or measured.document["cwd"],
        "environment": measured.document["environment"],
        "digest": measured.document["digest"],
        "checks": [check._asdict() for check in session.checks],
        "before": [result._asdict() for result in measured.before],
        "after": wanted.after,
        "expect": [str(selector) for selector in wanted.expect],
        "asked": measured.asked,
        "rehearsed": took([measured]),
        **({"guards": guards} if guards else {}),
    }


def _decide(session: Session, measured: Measured) -> Measured:
    decision = measured.verdict.decision
    if decision == REFUSE:
        raise refusal(measured)
    if decision == ASK:
        answer = session.tell.ask("Apply exactly this?", measured.document)
        if not answer:
            digest = measured.document["digest"]
            asked = measured.verdict.reasons[0].what.rstrip(".")
            what = "You said no." if answer is False else f"{asked}, and nobody is here to answer."
            reason = Reason(what, next=f"To apply exactly this: give --accept {digest}")
            measured.document["verdict"] = Verdict(REFUSE, (reason,)).document()
            raise RefusedError(*reason)
    told = tuple(Reason(reason.what, state="", next="") for reason in measured.verdict.reasons)
    measured.document["verdict"] = Verdict(ALLOW, told).document()
    return measured


def record_refusal(session: Session, measured: Measured, body: dict[str, Any]) -> None:
    """Record the refusal, and show it."""
    refuse(session, measured.document, body)
    session.tell.show(measured.document)


def refuse(session: Session, document: dict[str, Any], body: dict[str, Any]) -> None:
    """Record what is kept as one that was not applied; the document goes along, so that `show` can tell."""
    session.link.ask("refuse", change=document["change"], body=body, document=as_judged(document))
    _record(session, document)


def _record(session: Session, document: dict[str, Any]) -> None:
    """Let the journal learn of a change, and of what it did."""
    session.learn()
    if session.journal is not None:
        documents.keep(session.journal, document)


def after_failed_apply(session: Session, measured: Measured, error: BackoutError) -> None:
    """Let go of what was not applied.

    A service that failed after the files leaves the change applied, so it is taken back. A refusal comes before
    anything: what stands under that id is not ours.
    """
    if isinstance(error, RefusedError):
        session.link.ask("let_go", change=measured.change)
        return
    state = {change["id"]: change["state"] for change in session.changes()}.get(measured.change)
    if state is None:
        session.link.ask("let_go", change=measured.change)
    elif state == "applied":
        session.link.ask("back_out", change=measured.change)
        error.state = "It was backed out; everything is as it was before."
    session.learn()


def _interrupted(session: Session, change: str, wanted: Wanted) -> InterruptedError:
    """Leave the host as before: what was applied is taken back."""
    states = {known["id"]: known["state"] for known in session.changes()}
    if states.get(change) == "applied":
        back_out(session, change, wanted.after)
    session.learn()
    return InterruptedError("Interrupted.", state="This host is as it was before.")


def settle(session: Session, wanted: Wanted, measured: Measured) -> tuple[dict[str, Any], int]:
    """Check an applied change, then keep it or back it out."""
    try:
        after = look_after(session, wanted, measured)
    except (KeyboardInterrupt, InterruptedError):
        raise _interrupted(session, measured.change, wanted) from None
    measured.document["checks"] += [result._asdict() for result in after.results]
    if after.problem is None:
        keep(session, measured, after)
        reason = Reason(
            f"Change {measured.change} is applied.", "The host is changed as shown.", "backout back takes it back."
        )
        measured.document["verdict"] = Verdict(ALLOW, (reason,)).document()
        return measured.document, DONE
    take_it_back(session, wanted, measured, after.problem)
    reason = Reason(
        after.problem,
        "It was backed out; everything is as it was before, and healthy again.",
        f"backout show {measured.change}",
    )
    measured.document["verdict"] = Verdict(REFUSE, (reason,)).document()
    return measured.document, BACKED_OUT


def look_after(session: Session, wanted: Wanted, measured: Measured) -> After:
    """Do what follows an apply: run the command after it, and the checks."""
    problem = _run_after(session, measured.change, wanted.after)
    results = session.live_checks(AFTER)
    red = turned_red([*measured.before, *results])
    if red and problem is None:
        problem = f"Check {red[0]!r} was healthy and is unhealthy after the apply."
    return After(tuple(results), problem)


def keep(session: Session, measured: Measured, after: After) -> None:
    """Say on the host that an applied change stays, and learn that."""
    session.link.ask("keep", change=measured.change, body={"results": [result._asdict() for result in after.results]})
    _record(session, measured.document)


def _run_after(session: Session, change: str, command: str | None) -> str | None:
    if command is None:
        return None
    session.tell.step(f"after: {command}")
    code = session.link.ask("after", change=change, command=command)
    return None if code == 0 else f"The command after the apply exited {code}: {command}"


def back_out(session: Session, change: str, after: str | None, because: Sequence[Mapping[str, Any]] = ()) -> None:
    """Take an applied change back; `because` are the results of checks that were red.

    The command after the apply runs once more, so that what it restarted runs the old files.
    """
    session.tell.step("backing out")
    session.link.ask("back_out", change=change, body={"because": list(because)} if because else {})
    _run_after(session, change, after)


def take_it_back(session: Session, wanted: Wanted, measured: Measured, what: str) -> None:
    """Back out an applied change, because of `what`; a NeedsPersonError when a check is still unhealthy after that."""
    rows = measured.document["checks"]
    red = [row for row in rows if row["where"] == AFTER and row["result"] == UNHEALTHY]
    back_out(session, measured.change, wanted.after, red)
    healed = session.live_checks(AFTER)
    _record(session, measured.document)
    unwell = turned_red([*measured.before, *healed])
    if unwell:
        raise NeedsPersonError(
            f"{what} It was backed out, but check {unwell[0]!r} is still unhealthy.",
            state=f"All files are as before change {measured.change}.",
            next="Look at what the check says: backout show " + measured.change,
        )


def _recorded(session: Session, change: str, wanted: Wanted) -> tuple[Wanted, Measured]:
    """Judge what is recorded of a change as if it had been rehearsed now; its command after the apply comes with it."""
    require_harmless_after(wanted.after)
    document = session.link.ask("show", change=change)["document"]
    body = next(known["body"] for known in session.changes() if known["id"] == change)
    wanted = wanted._replace(after=wanted.after or body.get("after"))
    before = session.live_checks(BEFORE)
    context = Context(document["digest"], None, expecting=bool(wanted.expect), checks=before)
    verdict = judge(marked(document, wanted.expect), context._replace(accept=wanted.accept, yes=wanted.yes))
    new = session.new_id()
    document.update(
        change=new,
        checks=[result._asdict() for result in before],
        limits=list(dict.fromkeys([*document["limits"], *limits_of_after(wanted.after)])),
        verdict=verdict.document(),
    )
    return wanted, held(session, wanted, Measured(new, document, verdict, None, tuple(before)), bits=change)


def redo(session: Session, change: str, wanted: Wanted) -> tuple[dict[str, Any], int]:
    """Apply a recorded change once more: the same bits, judged like any other, as a change of its own."""
    require_finished(session)
    wanted, measured = _recorded(session, change, wanted)
    try:
        measured = _decide(session, measured)
    except BackoutError:
        session.tell.show({**measured.document, "change": change})
        raise
    new = measured.change
    session.tell.step("applying")
    try:
        left = session.link.ask("redo", change=change, new=new, body=body_of(session, wanted, measured))
    except BackoutError as error:
        after_failed_apply(session, measured, error)
        raise
    return settle(session, wanted, _with_what_was_left(measured, left))
