"""Proofs: what was shown to hold against an incident's bad change, and what an edit since made of it. Pure.

A guard proves by refusing the bad change and letting a good one through; a check by being red with the one and green
with the other; a command by having been run, to the end, since the incident began.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from backout.model import shape
from backout.model.check import HEALTHY, UNHEALTHY, CheckResult
from backout.model.guard import Guard, number
from backout.model.incident import Row
from backout.model.replay import Outcome, tally

PROOF = "proof"
"""The type of an event that tells what came of trying one."""
GUARD, CHECK, COMMAND = "guard", "check", "command"
SORTS = (GUARD, CHECK, COMMAND)
BODY = shape.fields(
    {
        **dict.fromkeys(("incident", "name", "bad", "good", "why"), shape.text),
        "sort": shape.one_of(*SORTS),
        "held": shape.truth,
        "backtest": shape.mapping(shape.whole),
        "was": shape.mapping(shape.anything),
    }
)
"""What the body of such an event must be like."""
_TEXT_OF_A_GUARD = ("why", "says", "owner", "review_by", "incident")
"""Keys of a guard that say something of it and change nothing of what it refuses."""


class Proof(NamedTuple):
    """What came of trying one, at one time.

    `bad` and `good` are change ids; `good` empty: the host as it stood. `why` is what was seen, in a sentence. Of a
    guard, `backtest` has what `backtest` gives, and `was` is its table of the file; of a check or a command its table.
    `at` is in seconds since the epoch, UTC.
    """

    incident: str
    sort: str
    name: str
    bad: str
    good: str
    held: bool
    why: str
    backtest: Mapping[str, int]
    was: Mapping[str, Any]
    at: float
    seq: int

    @property
    def key(self) -> tuple[str, str, str]:
        """Give what tells it from others: the incident, the sort, the name."""
        return self.incident, self.sort, self.name

    def body(self) -> dict[str, Any]:
        """Give the body of its event."""
        rest = {name: value for name, value in self._asdict().items() if name not in ("at", "seq")}
        return {**rest, "backtest": dict(self.backtest), "was": dict(self.was)}


class Judged(NamedTuple):
    """Whether something proves, and why; None: nobody can tell. `next` is the way on where it does not."""

    held: bool | None
    why: str
    next: str = ""


def _proves(why: str) -> Judged:
    return Judged(held=True, why=why)


def _fails(why: str, next: str) -> Judged:
    return Judged(held=False, why=why, next=next)


def _untold(why: str, next: str) -> Judged:
    return Judged(held=None, why=why, next=next)


def histories(rows: Iterable[Row]) -> dict[tuple[str, str, str], tuple[Proof, ...]]:
    """Give every proof by its incident, sort and name, oldest first, from events in the order of their seq."""
    found: dict[tuple[str, str, str], tuple[Proof, ...]] = {}
    for row in rows:
        if row.type == PROOF and BODY(row.body):
            told = {name: row.body[name] for name in Proof._fields[:-2]}
            proof = Proof(**told, at=row.at, seq=row.seq)
            found[proof.key] = (*found.get(proof.key, ()), proof)
    return found


def fold(rows: Iterable[Row]) -> dict[tuple[str, str, str], Proof]:
    """Give the newest proof of each incident, sort and name."""
    return {key: proofs[-1] for key, proofs in histories(rows).items()}


def last_held(proofs: Sequence[Proof]) -> Proof | None:
    """Give the newest that held among the proofs of one name; None where none ever did."""
    return next((proof for proof in reversed(proofs) if proof.held), None)


def backtest(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Count what a guard would have done to the changes on record: its worth, its price, and of how many each is.

    `harmful` of `did_harm`, `harmless` of `did_none`; `not_judged` are in none of these.
    """
    found = tally(outcomes)
    known = [*found.harmful, *found.harmless, *found.warned, *found.passed]
    return {
        "harmful": len(found.harmful),
        "did_harm": sum(one.past.harm is not None for one in known),
        "harmless": len(found.harmless),
        "did_none": sum(one.past.harm is None and not one.past.refused for one in known),
        "not_judged": len(found.not_judged),
    }


def cost(counts: Mapping[str, int]) -> str:
    """Say what a back-test counted, in a sentence or two; nothing where there was none."""
    if not counts:
        return ""
    told = [
        f"{counts[part]} of {number(counts[whole], 'change')} that {did}"
        for part, whole, did in (("harmful", "did_harm", "did harm"), ("harmless", "did_none", "did none"))
        if counts.get(whole)
    ]
    refused = f"On record it would have refused {' and '.join(told)}." if told else ""
    missing = f"Of {number(counts['not_judged'], 'change')} nothing can be said." if counts.get("not_judged") else ""
    return f"{refused} {missing}".strip()


def of_guard(
    guard: Guard, bad: Sequence[Outcome], good: Sequence[Outcome], *, adopted: bool = False, passed: bool = False
) -> Judged:
    """Judge a guard by what it said of the bad change and of the good one, each as the hosts that were alike have it.

    An incident that was open when it was made would have let it through with a warning. That says nothing of `adopted`
    drift, which was made past every guard before it was looked for, nor of what was rehearsed anew to be looked at, and
    refused. `passed` tells that the bad change was made with an override of this very guard.
    """
    where = bad[0].past
    if not guard.judges(where.environment):
        told = ", ".join(guard.environments)
        what = f"It judges {told} alone, and the bad change was made on {where.environment or 'no environment'}."
        return _fails(what, f"Name {where.environment} among its environments, or leave them out.")
    if passed and guard.override:
        what = f"It said no to {where.id}, and was passed by --override: it was there, and did not help."
        return _fails(what, "Leave out override = true, and nobody can pass it.")
    refused = _refused(guard, bad, adopted=adopted)
    through = _through(guard, good) if refused.held else refused
    if not through.held:
        return through
    may = f" Whoever gives a reason may pass it (--override {guard.name}); the record keeps that." * guard.override
    return _proves(f"{refused.why} {through.why}{may}")


def _refused(guard: Guard, bad: Sequence[Outcome], *, adopted: bool) -> Judged:
    """Tell whether the bad change is refused: on one host is enough, nothing is applied then."""
    change = bad[0].past.id
    said = [one for one in bad if one.reason and (adopted or one.past.refused or not one.warned)]
    if said:
        return _proves(f"It refuses {change}: {said[0].reason}")
    if any(one.reason for one in bad):
        what = (
            f"It would only have warned of {change}: an incident was open there, and guards let everything through then"
        )
        return _fails(f"{what}.", "Name another change: --bad ID")
    missing = next((one.missing for one in bad if one.missing), None)
    if missing is not None:
        return _untold(f"Whether it refuses {change} cannot be told. {missing}", AGAIN)
    way = f"Make {guard.name} refuse it, or find one that does: backout review guard"
    return _fails(f"It lets the bad change {change} through.", way)


AGAIN = "Rehearse its command again, then name that change: backout split -- CMD…, and --bad ID"
"""The way on where gc let go what a change did."""


def _through(guard: Guard, good: Sequence[Outcome]) -> Judged:
    """Tell whether the good change is let through, on every host."""
    if not good:
        what = "There is no good change that it would have to let through."
        return _untold(what, "Name one with --good ID, or make one of the rest: backout split CHANGE")
    change = good[0].past.id
    for one in good:
        if one.missing:
            what = f"Whether it lets the good change {change} through cannot be told. {one.missing}"
            return _untold(what, "Name another one: --good ID")
        if one.reason:
            way = f"Let {guard.name} forbid less, or name another good change: --good ID"
            return _fails(f"It refuses the good change {change}, too: {one.reason}", way)
    return _proves(f"It lets {change} through.")


def of_check(name: str, bad: tuple[str, CheckResult], good: tuple[str, CheckResult], moved: int = 0) -> Judged:
    """Judge a check by its results with the bad change in a view of the host, and with the good one.

    Each is given with its change; no good change (empty): the host without the bad one. `moved` counts the paths of the
    bad change at which the host moved on since.
    """
    (worse, red), (better, green) = bad, good
    there = f"with {better}" if better else f"without {worse}"
    for result in (red, green):
        if result.result not in (HEALTHY, UNHEALTHY):
            what = f"Check {name} is not run in a view of the host: {_line(result)}"
            return _untold(what.strip(), "Give it a `rehearsal` in backout.toml: how it is started and asked there.")
    if red.result == HEALTHY:
        return _fails(f"It is green with the bad change {worse}: it would not have seen it.", "Have it look at more.")
    if green.result == UNHEALTHY:
        return _fails(f"It is red {there}, too: {_line(green)}", "Mend the check, or name another: --good ID")
    since = f" The host moved on since at {number(moved, 'path')} of {worse}, seen as it left them." if moved else ""
    return _proves(f"It is red with {worse}: {_line(red)} It is green {there}.{since}")


def _line(result: CheckResult) -> str:
    lines = result.output.strip().splitlines()
    text = lines[-1].strip() if lines else "it said nothing"
    return text if text.endswith((".", "!", "?")) else f"{text}."


def of_command(name: str, *, begun: float, runs: Iterable[tuple[str, float, str]]) -> Judged:
    """Judge a command by its runs: each a change id (empty: there was nothing to do), when, and what is wrong with it.

    The newest since the incident began counts; an empty problem is a run that is applied and healthy.
    """
    since = [run for run in runs if run[1] >= begun]
    if not since:
        return _fails("It was not run since the incident began.", f"backout run {name}")
    change, _, problem = max(since, key=lambda run: run[1])
    if problem:
        return _fails(f"Its last run did not go well: {change or 'it'} {problem}.", f"backout run {name}")
    return _proves(f"Its run {change} is applied and healthy." if change else "Its last run had nothing to do.")


def gone(proof: Proof, tables: Sequence[Mapping[str, Any]]) -> Judged:
    """Say that what proved is not in the configuration any more; where one of other name says the same, which."""
    same = [row for row in tables if bare(row) == bare(proof.was)] if proof.was else []
    what = f"There is no {proof.sort} {proof.name} in backout.toml any more."
    if not same:
        return _fails(what, f"Put it back, or prove another: backout review prove --incident {proof.incident}")
    other = same[0].get("name", same[0].get("rule", ""))
    what = f"{what[:-1]}; one that does the same is called {other} now."
    return _fails(what, f"Say so in the action, then: backout review prove {other}")


def bare(table: Mapping[str, Any]) -> dict[str, Any]:
    """Give what decides of a table: not what it is called, and what it only says."""
    return {key: value for key, value in table.items() if key not in ("name", *_TEXT_OF_A_GUARD)}


def edited(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say which keys that decide are not as they were when it held; nothing where all are."""
    before, after = bare(was), bare(now)
    told = [
        f"{key} was {_said(before.get(key))}, is {_said(after.get(key))}"
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    ]
    return f"Edited since it held: {'; '.join(told)}." if told else ""


def _said(value: Any) -> str:
    """Write a value of a table as a person would read it out."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "not there" if value is None else str(value)


def follows(one: Proof, others: Iterable[Proof]) -> bool:
    """Tell whether another name proves in a proof's place: the same thing, for the same incident."""
    return any(
        other.held and other.key[:2] == one.key[:2] and other.name != one.name and bare(other.was) == bare(one.was)
        for other in others
    )
