"""What proves against an incident: guards replayed over its bad change, checks tried with it, commands that were run.

Nothing here touches a live host: guards are asked about the record, checks in views of the host (as `split` does).
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from backout.config.values import Command
from backout.errors import BackoutError, UsageError
from backout.flow.documents import IDLE
from backout.flow.incidents import NO_ENVIRONMENT, TYPES, row_of
from backout.flow.replay import Found, Replay, Setting
from backout.flow.session import Session
from backout.model import proof
from backout.model.check import UNHEALTHY, Check, CheckResult
from backout.model.contrast import NAMED, REST, Good, Told, bad_of, good_of
from backout.model.guard import OVERRIDDEN, Guard
from backout.model.incident import Incident
from backout.model.incident import fold as fold_incidents
from backout.model.ledger import KEPT, UNDONE, Change, by_host, entry_from
from backout.model.ledger import fold as fold_changes
from backout.model.proof import PROOF, Judged, Proof, backtest, histories
from backout.model.redact import redact_words
from backout.model.replay import SUSPECT, Outcome
from backout.model.review import REVIEW, Review, actions
from backout.model.review import fold as fold_reviews
from backout.store.journal import Journal

Key = tuple[str, str, str]


class Known(NamedTuple):
    """What the journal has of incidents, their reviews and their proofs; and tables of backout.toml by their names."""

    incidents: Mapping[str, Incident]
    reviews: Mapping[str, Review]
    proofs: Mapping[Key, tuple[Proof, ...]]
    tables: Mapping[str, Mapping[str, Any]]

    def of(self, incident: str) -> dict[Key, tuple[Proof, ...]]:
        """Give the proofs of one incident."""
        return {key: proofs for key, proofs in self.proofs.items() if key[0] == incident}

    def names(self, incident: str) -> list[tuple[str, str]]:
        """Give what the actions of an incident's review name as their proof, each as its sort and its name."""
        review = self.reviews.get(incident)
        named = [action.proof for action in actions(review.text)] if review else []
        return list(dict.fromkeys((one.sort, one.name) for one in named if one and one.sort in proof.SORTS))


def known(journal: Journal, tables: Sequence[Mapping[str, Any]]) -> Known:
    """Read what is on record; `tables` are those of the guards as the file has them."""
    events = (event for event in journal.events() if event.type in (*TYPES, REVIEW, PROOF))
    rows = [row_of(event) for event in events]
    by_name = {str(row.get("name", row.get("rule"))): plain(row) for row in tables}
    return Known(fold_incidents(rows), fold_reviews(rows), histories(rows), by_name)


class Case(NamedTuple):
    """What proofs of an incident are held between: the bad change and the good one, each as hosts were alike.

    `how` says why the good one is taken for one.
    """

    incident: Incident
    bad: tuple[Found, ...]
    good: tuple[Found, ...]
    how: str = ""

    @property
    def bad_id(self) -> str:
        """Name the bad change."""
        return self.bad[0].past.id

    @property
    def good_id(self) -> str:
        """Name the good one; empty where there is none."""
        return self.good[0].past.id if self.good else ""

    @property
    def is_adopted(self) -> bool:
        """Tell whether the bad one is drift that was taken into the record."""
        return any(change.body.get("adopted", False) for one in self.bad for change in one.changes.values())

    def passed(self, guard: str) -> bool:
        """Tell whether the bad change was made with an override of a guard."""
        rows = [row for one in self.bad for change in one.changes.values() for row in change.body.get("guards", ())]
        return any((row["name"], row["outcome"]) == (guard, OVERRIDDEN) for row in rows)


class Tried(NamedTuple):
    """What came of trying one: how it was judged, a guard's back-test, and its table."""

    judged: Judged
    backtest: Mapping[str, int] = {}
    was: Mapping[str, Any] = {}


class Prover:
    """Tries what might prove, over one record."""

    def __init__(self, setting: Setting, known: Known, step: Callable[[str], None], environment: str | None) -> None:
        """Read the record; with an environment, back-tests are over its changes alone."""
        self.setting, self.known, self.step = setting, known, step
        self.replay = Replay(setting, environment)

    def case(self, incident: str, bad: str | None = None, good: str | None = None) -> Case:
        """Find the bad change of an incident, and a good one; a UsageError where the record does not tell which."""
        told = self.known.incidents[incident]
        here = [
            one
            for one in self.replay.found
            if (one.past.environment or NO_ENVIRONMENT) == told.environment and not self._is_empty(one)
        ]
        changes = _told(here)
        proven = {proofs[-1].bad for proofs in self.known.of(incident).values()} - {""}
        chosen = bad or _one(told, bad_of(told, changes, proven))
        worse = self._found(chosen)
        known_good = _named(good) if good else good_of(chosen, _told(self._like(worse)))
        better = self._found(known_good.id) if known_good else ()
        _require_good(worse, better)
        return Case(told, worse, better, known_good.how if known_good else "")

    def again(self, one: Proof) -> Case | None:
        """Give what a recorded proof was held between; None where the record does not have it any more."""
        incident = self.known.incidents.get(one.incident)
        bad, good = (tuple(f for f in self.replay.found if f.past.id == name) for name in (one.bad, one.good))
        is_there = incident is not None and bad and bool(good) == bool(one.good)
        return Case(incident, bad, good, NAMED if good else "") if incident and is_there else None

    def _is_empty(self, one: Found) -> bool:
        """Tell whether a change was refused because its command failed before it did anything."""
        return one.past.refused and self.replay.effects(one) == []

    def _like(self, worse: Sequence[Found]) -> list[Found]:
        return [one for one in self.replay.found if one.past.environment == worse[0].past.environment]

    def _found(self, change: str) -> tuple[Found, ...]:
        found = tuple(one for one in self.replay.found if one.past.id == change)
        if not found:
            raise UsageError(
                f"There is no change {change} on record that can be judged.", next="backout log lists what there is."
            )
        return found

    def guards(self, case: Case, guards: Sequence[Guard], *, tests: bool = True) -> dict[str, Tried]:
        """Try guards, by their names; without `tests` none is back-tested, only asked about the two changes."""
        among = None if tests else [*case.bad, *case.good]
        outcomes = self.replay.outcomes(guards, self.step, among)
        return {guard.name: self._judged(case, guard, outcomes[guard.name], tests=tests) for guard in guards}

    def _judged(self, case: Case, guard: Guard, outcomes: Sequence[Outcome], *, tests: bool) -> Tried:
        bad = [one for one in outcomes if one.past.id == case.bad_id] or [Outcome(one.past) for one in case.bad]
        good = [one for one in outcomes if one.past.id == case.good_id] or [Outcome(one.past) for one in case.good]
        passed = case.passed(guard.name)
        judged = proof.of_guard(guard, bad, good, adopted=case.is_adopted, passed=passed)
        counts = backtest(_harmed(one, case) for one in outcomes) if tests else {}
        return Tried(judged, counts, self.known.tables.get(guard.name, {}))

    def check(self, case: Case, check: Check) -> Tried:
        """Try a check with the bad change in a view of its host, and with the good one: the rest of it, or without."""
        was = {name: value for name, value in check._asdict().items() if value is not None}
        if case.is_adopted:
            what = (
                f"Change {case.bad_id} is drift that was adopted: nothing of it is kept that a view could be made of."
            )
            return Tried(Judged(None, what, "A guard can prove against it: backout review guard"), was=was)
        if any(change.expired for one in case.bad for change in one.changes.values()):
            what = f"Nothing is kept of change {case.bad_id} any more: gc let its bits go."
            return Tried(Judged(None, what, proof.AGAIN), was=was)
        better = case.good_id if case.how in (REST, NAMED) else ""
        try:
            red, moved = self._tried(case.bad, check, whole=True)
            green, _ = self._tried(case.good if better else case.bad, check, whole=bool(better))
        except BackoutError as error:
            return Tried(Judged(None, f"It cannot be tried. {error.what}", error.next), was=was)
        return Tried(proof.of_check(check.name, (case.bad_id, red), (better, green), moved), was=was)

    def _tried(self, found: Sequence[Found], check: Check, *, whole: bool) -> tuple[CheckResult, int]:
        """Ask a check in a view with all of a change, or with none of it; gives also how many paths moved on since."""
        change = found[0].past.id
        names = {host for one in found for host in one.changes}
        for _, fleet in self.setting.fleets:
            for host in fleet.reached:
                if fleet.greetings[host].name in names:
                    self.step(f"trying {check.name} {'with' if whole else 'without'} {change}")
                    (answer,) = fleet.each(partial(_trial, change=change, check=check, whole=whole), [host]).values()
                    if isinstance(answer, BackoutError):
                        raise answer
                    return answer
        raise UsageError(f"No host that has change {change} was reached.", next="backout doctor")

    def command(self, case: Case | Incident, command: Command) -> Tried:
        """Look in the journal for runs of a command since the incident began."""
        incident = case.incident if isinstance(case, Case) else case
        begun = min(values[-1] for values in incident.clocks.values())
        words = redact_words((command.run,))
        changes = [
            change
            for entries in by_host(map(entry_from, self.setting.journal.entries())).values()
            for change in fold_changes(entries)
            if list(change.body.get("command", ())) == list(words)
            and (change.body.get("environment") or NO_ENVIRONMENT) == incident.environment
        ]
        idle = [
            ("", event.at, _red(event.body.get("red", ())))
            for event in self.setting.journal.events(type=IDLE)
            if event.body.get("command") == command.name
            and (event.body.get("environment") or NO_ENVIRONMENT) == incident.environment
        ]
        judged = proof.of_command(command.name, begun=begun, runs=[*_runs(changes), *idle])
        return Tried(judged, was=plain(command._asdict()))

    def record(self, who: str, one: Proof) -> Proof:
        """Keep what came of trying one."""
        at = time.time()
        event = self.setting.journal.append(at=at, actor=who, type=PROOF, body=one.body())
        return one._replace(at=at, seq=event.seq)


def _trial(session: Session, change: str, check: Check, *, whole: bool) -> tuple[CheckResult, int]:
    answer = session.link.ask("whole", change=change, there=whole, checks=[check._asdict()])
    (row,) = answer["results"]
    return CheckResult(**row), answer["moved"]


def _told(found: Iterable[Found]) -> list[Told]:
    """Give what is known of changes, each once: on all hosts together."""
    told: dict[str, Told] = {}
    for one in found:
        changes = one.changes.values()
        here = Told(
            one.past.id,
            one.past.at,
            one.past.harm,
            one.past.refused,
            adopted=any(change.body.get("adopted", False) for change in changes),
            stands=any(change.stands for change in changes),
            split_from=next((change.body["split_from"] for change in changes if "split_from" in change.body), ""),
        )
        before = told.get(here.id, here)
        told[here.id] = here._replace(
            at=min(here.at, before.at),
            harm=here.harm or before.harm,
            refused=here.refused and before.refused,
            stands=here.stands or before.stands,
        )
    return list(told.values())


def _one(incident: Incident, found: Sequence[str]) -> str:
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(
            f"The record does not tell which change led to {incident.id}: none was backed out, taken back, adopted or "
            "refused around it.",
            next="backout log lists the changes; name the bad one: --bad ID",
        )
    raise UsageError(
        f"More than one change may have led to {incident.id}: {', '.join(found)}.",
        next=f"Name the bad one, such as --bad {found[-1]}; or find it: backout split {found[-1]}",
    )


def _named(good: str) -> Good:
    return Good(good, NAMED)


def _require_good(bad: Sequence[Found], good: Sequence[Found]) -> None:
    """Refuse a good change that was none, or was made where other guards judge."""
    if not good:
        return
    one, other = bad[0].past, good[0].past
    if one.id == other.id:
        raise UsageError(f"Change {one.id} cannot be the bad and the good one.", next="Name another one: --good ID")
    if one.environment != other.environment:
        raise UsageError(
            f"Change {other.id} was made on {other.environment}, the bad one on {one.environment}.",
            next="Name one of the same environment: --good ID",
        )
    harm = next((found.past.harm for found in good if found.past.harm), None)
    if harm:
        raise UsageError(
            f"Change {other.id} was no good one: it was {harm if harm != SUSPECT else 'named as a suspect'}.",
            next="Name another one: --good ID",
        )


def _harmed(one: Outcome, case: Case) -> Outcome:
    """Count the bad change among those that did harm, whatever the record shows: an incident came of it."""
    if one.past.id != case.bad_id or one.past.refused:
        return one
    past = one.past._replace(harm=one.past.harm or SUSPECT)
    return one._replace(past=past, warned=one.warned and not case.is_adopted)


def _runs(changes: Iterable[Change]) -> list[tuple[str, float, str]]:
    """Give each run of a command on all its hosts: its change, when, and what is wrong with it."""
    found: dict[str, tuple[str, float, str]] = {}
    for change in changes:
        _, at, problem = found.get(change.id, (change.id, change.at, ""))
        found[change.id] = change.id, max(at, change.at), problem or _problem(change)
    return list(found.values())


def _problem(change: Change) -> str:
    if change.state != KEPT:
        return "was backed out" if change.state == UNDONE else f"is {change.state}"
    if change.undone_by is not None:
        return "was taken back"
    return _red([row["name"] for row in change.body.get("results", ()) if row["result"] == UNHEALTHY])


def _red(names: Sequence[str]) -> str:
    return f"left {', '.join(names)} unhealthy" if names else ""


def plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """Give a table as JSON can hold it: dates as text, selectors as they are written."""
    return {key: _value(value) for key, value in table.items() if value not in (None, ())}


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return plain(value)
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [_value(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool) else value.isoformat() if _is_day(value) else str(value)


def _is_day(value: Any) -> bool:
    return isinstance(value, dt.date)
