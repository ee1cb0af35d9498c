"""The verdict: whether a change may be applied, with reasons. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from backout.model.check import CheckResult, red_before, turned_red
from backout.model.effect import Effect

ALLOW, ASK, REFUSE = "allow", "ask", "refuse"
_NAMED = 3
_ONCE_MORE = "The checks are made once more after the apply."
_AROUND = "Mend what stands in the way, or change the command; then rehearse again."


class Reason(NamedTuple):
    """What happened, what state the host is in now, the next command (law 7)."""

    what: str
    state: str = "Nothing was changed."
    next: str = ""


class Verdict(NamedTuple):
    """The decision (allow, ask, refuse) and its reasons."""

    decision: str
    reasons: tuple[Reason, ...] = ()

    def document(self) -> dict[str, Any]:
        """Give the JSON form of `backout.effects/1`."""
        return {"decision": self.decision, "reasons": [reason._asdict() for reason in self.reasons]}


class Context(NamedTuple):
    """What a judgement looks at besides the effects.

    `failed` is the command's exit code where it is not among the accepted ones, `advice` what helps then; `obstacles`
    say what cannot be applied on this host; `expecting` tells whether any `--expect` was given; `accept` is the digest
    that the user accepts.
    """

    digest: str
    failed: int | None = None
    advice: str = "Mend the command, or accept the code with --ok-exit or --allow-failure."
    expecting: bool = False
    accept: str | None = None
    yes: bool = False
    checks: Sequence[CheckResult] = ()
    obstacles: Sequence[str] = ()


def first(told: Sequence[str]) -> str:
    """Name the first of some things."""
    return ", ".join(told[:_NAMED]) + (" …" if len(told) > _NAMED else "")


def judge(effects: Iterable[Effect], context: Context) -> Verdict:
    """Refuse, ask or allow, by the design's paragraph "When a change is let through". Goes through the effects once."""
    any_effect, surprises = False, []
    for effect in effects:
        any_effect = True
        if effect.expected is False:
            surprises.append(effect)
    refusals = _refusals(surprises, context)
    if refusals:
        return Verdict(REFUSE, tuple(refusals))
    worries, undecided = _worries(context), _undecided(context) if any_effect else []
    if not (worries or undecided):
        return Verdict(ALLOW)
    if context.yes or context.accept is not None:
        return Verdict(ALLOW, tuple(worry._replace(next=_ONCE_MORE) for worry in worries))
    return Verdict(ASK, (*worries, *undecided))


def refused(verdict: Verdict, reasons: Sequence[Reason]) -> Verdict:
    """Give the verdict with what guards say against it besides; no guard says anything for it."""
    if not reasons:
        return verdict
    return Verdict(REFUSE, (*(verdict.reasons if verdict.decision == REFUSE else ()), *reasons))


def _refusals(surprises: Sequence[Effect], context: Context) -> list[Reason]:
    reasons = []
    if context.failed is not None:
        reasons.append(Reason(f"The command exited {context.failed}.", next=context.advice))
    if surprises:
        named = first([f"{e.kind}:{e.subject}" for e in surprises])
        count = "1 effect is" if len(surprises) == 1 else f"{len(surprises)} effects are"
        reasons.append(
            Reason(
                f"{count} outside what was expected: {named}", next="Expect them with --expect, or change the command."
            )
        )
    reasons.extend(
        Reason(
            f"Check {name!r} was healthy and is unhealthy in the rehearsal.",
            next="Mend it; backout split finds the part that breaks the check.",
        )
        for name in turned_red(list(context.checks))
    )
    reasons.extend(Reason(text, next=_AROUND) for text in context.obstacles)
    if context.accept is not None and context.accept != context.digest:
        reasons.append(
            Reason(
                f"The effects are not those that were accepted: the digest is now {context.digest}.",
                next=f"Look at the report; if it is right, give --accept {context.digest}.",
            )
        )
    return reasons


def _worries(context: Context) -> list[Reason]:
    """Say what was unwell before: that is shown and asked about, and refuses nothing (design, "Checks and rescue")."""
    return [
        Reason(f"Check {name!r} was unhealthy before the change.", next="Answer the question, or give --yes.")
        for name in red_before(list(context.checks))
    ]


def _undecided(context: Context) -> list[Reason]:
    if context.expecting:
        return []
    decides = f"Answer the question, or give --yes or --accept {context.digest}."
    return [Reason("Nothing was expected, so a person decides.", next=decides)]
