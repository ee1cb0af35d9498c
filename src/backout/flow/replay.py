"""`backout guard test`: guards replayed over every change on record, as of its own time.

What a change did is told by its host; of a host that does not answer, or that let it go, by the journal as far as that
has it. What a guard needs and nobody knows any more leaves a change unjudged, never let through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

from backout.config.values import Config
from backout.errors import BackoutError, UsageError
from backout.flow.documents import Documents
from backout.flow.fleet import Fleet
from backout.flow.guards import answer, moments
from backout.flow.instant import instant
from backout.flow.session import Session
from backout.flow.staged import Twin, in_place
from backout.model.effect import Effect, effect_from
from backout.model.guard import Guard, Known
from backout.model.incident import INCIDENT, open_on
from backout.model.ledger import APPLIED, REFUSED, Change, LedgerEntry, by_host, entry_from, fold
from backout.model.replay import Outcome, Past, harm, is_measured, judged, outcome, suspects, tally, told
from backout.model.rules import rule
from backout.model.selector import Selector, parse_selector
from backout.model.staging import NOWHERE, Staging
from backout.model.verdict import Reason
from backout.store.journal import Journal

GONE = "Its effects are not known any more: gc let them go, or its host did not answer."
PARTLY = "Its host did not tell its effects document; the journal has only a part of it."
"""Why a change is not judged."""


class Found(NamedTuple):
    """A change as the hosts have it where it did the same: each host's ledger name, and what became of it there."""

    past: Past
    changes: dict[str, Change]


class Record:
    """All ledger entries that the journal has, by host; the journal has learned what the hosts that answer have."""

    def __init__(self, journal: Journal, hosts: Mapping[str, str], environments: Sequence[str]) -> None:
        """Keep the hosts that answered (names of ledgers, and in backout.toml), and others of the environments."""
        self.entries = {
            host: sorted(rows, key=lambda entry: entry.seq)
            for host, rows in by_host(map(entry_from, journal.entries())).items()
            if host in hosts or _has(rows, environments)
        }
        self._hosts = hosts

    def found(self, environment: str | None, suspected: frozenset[str]) -> list[Found]:
        """Give the changes that can be judged, newest first; with an environment, those of it alone."""
        groups: dict[tuple[str, str], dict[str, Change]] = {}
        for host, rows in self.entries.items():
            for change in filter(is_measured, fold(rows)):
                if environment is None or change.body.get("environment") == environment:
                    groups.setdefault((change.id, change.body.get("digest", "")), {})[host] = change
        found = [Found(self._past(changes, suspected), changes) for changes in groups.values()]
        return sorted(found, key=lambda one: (one.past.at, one.past.id), reverse=True)

    def of(self, environment: str, hosts: Iterable[str]) -> dict[str, list[LedgerEntry]]:
        """Give the entries of an environment's hosts: of those that are named, and of all that it made changes on."""
        known = {host: self.entries.get(host, []) for host in hosts}
        return known | {host: rows for host, rows in self.entries.items() if _has(rows, [environment])}

    def _past(self, changes: dict[str, Change], suspected: frozenset[str]) -> Past:
        first = next(iter(changes.values()))
        rows = (row for host in changes for row in self.entries[host])
        applied = {row.change for row in rows if row.kind == APPLIED}
        return Past(
            id=first.id,
            at=min(change.at for change in changes.values()),
            environment=first.body.get("environment"),
            hosts=tuple(self._hosts.get(host, host) for host in changes),
            command=tuple(first.body.get("command") or ("?",)),
            harm=harm(changes.values(), applied, suspected),
            refused=all(change.state == REFUSED for change in changes.values()),
        )


class Setting(NamedTuple):
    """What a replay is given: guards, configuration and its folder, journal, and reached hosts by environment."""

    guards: Sequence[Guard]
    config: Config
    journal: Journal
    fleets: Sequence[tuple[str | None, Fleet]]
    folder: str


class Replay:
    """The changes on record, put together once; guards are asked about them as often as somebody has guards."""

    def __init__(self, setting: Setting, environment: str | None = None) -> None:
        """Read the record; with an environment, of its changes alone."""
        bodies = [(event.at, event.body) for event in setting.journal.events(type=INCIDENT)]
        reached = {fleet.greetings[host].name: host for _, fleet in setting.fleets for host in fleet.reached}
        record = Record(setting.journal, reached, [known.name for known in setting.config.environments])
        self.found = record.found(environment, suspects(body for _, body in bodies))
        self._learned = _Learned(setting, record, bodies)

    def outcomes(
        self, guards: Sequence[Guard], step: Callable[[str], None], among: Sequence[Found] | None = None
    ) -> dict[str, list[Outcome]]:
        """Ask guards about changes (all, where none are given), each about those that it judges; by its name."""
        found = self.found if among is None else among
        outcomes: dict[str, list[Outcome]] = {guard.name: [] for guard in guards}
        for number, one in enumerate(found, 1):
            judging = [guard for guard in guards if guard.judges(one.past.environment)]
            step(f"replaying change {number} of {len(found)}")
            for guard, known in self._learned.known(one, judging):
                missed = Outcome(one.past, missing=GONE)
                outcomes[guard.name].append(missed if known is None else outcome(guard, one.past, known))
        return outcomes

    def document(self, one: Found) -> dict[str, Any] | None:
        """Give the effects document of a change, from a host that has it; None where none does, or answers."""
        return self._learned.document(one)

    def effects(self, one: Found) -> list[Effect] | None:
        """Give what a change did, as far as the journal tells, or a host does; None where nobody knows it any more."""
        return self._learned.effects(one, None) or self._learned.effects(one, self.document(one))


def replay(setting: Setting, environment: str | None, step: Callable[[str], None]) -> dict[str, Any]:
    """Give the `backout.guard-test/1` document."""
    replayed = Replay(setting, environment)
    outcomes = replayed.outcomes(setting.guards, step)
    return {
        "schema": "backout.guard-test/1",
        "environment": environment,
        "changes": len(replayed.found),
        "guards": [_row(guard, outcomes[guard.name]) for guard in setting.guards],
        "unreached": unreached(setting),
    }


def unreached(setting: Setting) -> list[dict[str, Any]]:
    """Name the hosts that did not answer, and why: of their changes the journal tells what it has."""
    return [
        {"environment": name, "host": host, "what": error.what}
        for name, fleet in setting.fleets
        for host, error in fleet.failed.items()
    ]


class _Learned:
    """Puts together what a guard is told of a change of the past."""

    def __init__(self, setting: Setting, record: Record, incidents: Sequence[tuple[float, dict[str, Any]]]) -> None:
        self._setting, self._record, self._incidents = setting, record, incidents
        self._at = {fleet.greetings[host].name: (fleet, host) for _, fleet in setting.fleets for host in fleet.reached}
        self._hosts = {name: [fleet.greetings[host].name for host in fleet.reached] for name, fleet in setting.fleets}
        self._documents = Documents(setting.journal)
        self._has_staging = False

    def known(self, one: Found, guards: Sequence[Guard]) -> Iterator[tuple[Guard, Known | None]]:
        """Give what each guard is told of a change; None where nobody knows any more what it did."""
        document = self.document(one) if guards else None
        effects = self.effects(one, document)
        for guard in guards:
            yield guard, None if effects is None else self._of(one, guard, document, effects)

    def document(self, one: Found) -> dict[str, Any] | None:
        """Ask the hosts that have the change, one after another, for its effects document."""
        for host in one.changes:
            if host in self._at:
                fleet, name = self._at[host]
                (answer,) = fleet.each(partial(_shown, change=one.past.id), [name]).values()
                if not isinstance(answer, BackoutError):
                    return answer
        return None

    def effects(self, one: Found, document: dict[str, Any] | None) -> list[Effect] | None:
        """Give a change's effects: those of its document, else what the journal has; None where it has nothing."""
        if document is not None:
            return [effect_from(row) for row in document["effects"]]
        told = (self._documents.of(host, one.past.id) for host in one.changes)
        return next((list(effects) for effects in told if effects is not None), None)

    def _of(self, one: Found, guard: Guard, document: dict[str, Any] | None, effects: list[Effect]) -> Known:
        """Tell what was known then, as far as this guard needs it."""
        body = next(iter(one.changes.values())).body
        known = Known(
            effects,
            one.past.environment,
            one.past.command,
            body.get("cwd", "/"),
            body.get("after"),
            document,
            _expected(body, document),
            _asked(body),
            len(body.get("checks", ())),
            incidents=open_on(said for at, said in self._incidents if at <= one.past.at),
            lacks={"document": Reason(PARTLY), "answers": Reason(PARTLY)},
        )
        needs = rule(guard.rule).NEEDS
        if "moments" in needs:
            zone = guard.settings["zone"]
            known = known._replace(moments=moments(one.past.at, [zone]))
        if "texts" in needs and not rule(guard.rule).paths(guard, known):
            known = known._replace(texts={})
        if "answers" in needs and document is not None:
            known = known._replace(answers={guard.name: answer(guard, document, self._setting.folder)})
        if "staging" in needs:
            known = known._replace(staging=self._staging(one.past, effects))
        return known

    def _learn_staging(self) -> None:
        """Let the journal have what all changes of the hosts did, once; it tells then what was in place at a time."""
        if not self._has_staging:
            for _, fleet in self._setting.fleets:
                fleet.each(_learn)
            self._documents, self._has_staging = Documents(self._setting.journal), True

    def _staging(self, past: Past, effects: list[Effect]) -> Staging | None:
        """Tell what was in place where a change should have been tried first, when it was made."""
        own = self._setting.config.known_environment(past.environment)
        if own is None or own.same_as is None:
            return NOWHERE
        self._learn_staging()
        twin = Twin(own.same_as, own.name, own.differs, judged=True, open=_unasked)
        hosts = {
            host: [change._asdict() for change in fold(entry for entry in rows if entry.at <= past.at)]
            for host, rows in self._record.of(twin.name, self._hosts.get(twin.name, ())).items()
        }
        return in_place(twin, effects, hosts, self._documents) if hosts else None


def _row(guard: Guard, outcomes: list[Outcome]) -> dict[str, Any]:
    found = tally(outcomes)
    missing: dict[str, list[str]] = {}
    for one in found.not_judged:
        missing.setdefault(one.missing, []).append(one.past.id)
    refused = [*found.harmful, *found.harmless, *found.refused_anyway]
    return {
        "name": guard.name,
        "rule": guard.rule,
        "judged": judged(found),
        **{sort: len(getattr(found, sort)) for sort in ("harmful", "harmless", "refused_anyway", "warned")},
        "refused": [_refused(one) for one in outcomes if one in refused],
        "not_judged": [{"why": why, "changes": changes} for why, changes in missing.items()],
        "told": told(guard.name, found),
    }


def _refused(one: Outcome) -> dict[str, Any]:
    return {
        "change": one.past.id,
        "at": instant(one.past.at),
        "environment": one.past.environment,
        "hosts": list(one.past.hosts),
        "command": list(one.past.command),
        "reason": one.reason,
        "harm": one.past.harm,
        "refused_anyway": one.past.refused and one.past.harm is None,
    }


def _unasked() -> AbstractContextManager[tuple[Fleet, Any]]:
    raise NotImplementedError("what was in place at a time of the past is told by the record")


def _shown(session: Session, change: str) -> dict[str, Any]:
    document: dict[str, Any] = session.link.ask("show", change=change)["document"]
    return document


def _learn(session: Session) -> None:
    """Let the journal have what all changes of a host did: what was in place at a time is told from there."""
    assert session.journal is not None  # noqa: S101 - a fleet opens one beside each host
    documents = Documents(session.journal)
    for change in session.changes():
        if is_measured(Change(**{name: change[name] for name in Change._fields})):
            documents.of(change["host"], change["id"], session)


def _has(rows: Iterable[LedgerEntry], environments: Sequence[str]) -> bool:
    """Tell whether any change among a host's entries was made for one of the environments."""
    return any(entry.body.get("environment") in environments for entry in rows)


def _expected(body: Mapping[str, Any], document: Mapping[str, Any] | None) -> list[Selector] | None:
    """Give what was expected: as it was recorded, or nothing, where the document says of each effect that none was."""
    texts = body.get("expect", body.get("rollout", {}).get("expect"))
    if texts is not None:
        try:
            return [parse_selector(text) for text in texts]
        except UsageError:  # as another release wrote it, or somebody else
            return None
    rows = [] if document is None else document["effects"]
    return [] if rows and all(row["expected"] is None for row in rows) else None


def _asked(body: Mapping[str, Any]) -> bool | None:
    """Tell whether a person was asked; where there were checks, it is all the same whether that is known."""
    asked: bool | None = body.get("asked")
    return asked or False if body.get("checks") else asked
