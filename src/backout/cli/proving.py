"""`backout review guard`, `backout review prove` and `guard test --proofs`: reach hosts, try, draw what came of it."""

from __future__ import annotations

import contextlib
import datetime as dt
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from backout import bootstrap
from backout.cli.commands import _fleet
from backout.cli.person import who
from backout.cli.screens import put, put_json, screen, there
from backout.config.append import appended, located
from backout.config.find import load, tables
from backout.config.nearest import did_you_mean
from backout.config.values import LOCAL, Config, Environment
from backout.errors import UsageError
from backout.flow.export import newest
from backout.flow.proofs import Between, again, checks_of, exit_code, prove, proven, row, wanted
from backout.flow.propose import Proposal, propose
from backout.flow.propose import document as proposals_document
from backout.flow.prover import Case, Known, Prover, known
from backout.flow.replay import Setting
from backout.model.proof import GUARD
from backout.store.journal import Journal


class _Record(NamedTuple):
    """The journal, and what it has of incidents and proofs."""

    journal: Journal
    known: Known


def review(options: Namespace) -> int:
    """`backout review guard` and `backout review prove`."""
    return {"guard": _guard, "prove": _prove}[options.act](options)


def _guard(options: Namespace) -> int:
    config, code = load(options.config), 0
    with _prover(options, config) as (prover, incident):
        case = prover.case(incident, options.bad, options.good)
        found = propose(prover, case, dt.datetime.now(dt.UTC).date(), _zone(config, case.incident.environment))
        told = proposals_document(prover, case, found)
        if options.add is not None:
            code = _add(options, prover, case, found.best, told)
            _placed(config, prover.known, [told["proof"]])
    _answer(options, told, "candidates")
    return code


def _prove(options: Namespace) -> int:
    config = load(options.config)
    with _prover(options, config) as (prover, incident):
        named, unknown = wanted(prover.known, config, incident, options.names)
        _require_known(config, incident, prover.known.incidents[incident].environment, unknown)
        if not named:
            raise UsageError(
                f"Nothing is named that could prove what came of {incident}.",
                next=f"See what would: backout review guard --incident {incident}",
            )
        told, code = prove(prover, str(who()), incident, named, Between(options.bad, options.good))
    _placed(config, prover.known, told["proofs"])
    _answer(options, told, "proofs")
    return code


def test(options: Namespace) -> int:
    """`backout guard test --proofs`."""
    config = load(options.config)
    if options.environment is not None:
        config.environment(options.environment)
    with _record(config) as record:
        names = sorted({key[2] for key in record.known.proofs})
        for name in options.names:
            if name not in names:
                near = did_you_mean(name, names) if names else "backout review guard"
                raise UsageError(f"Nothing of the name {name!r} was ever proven.", next=near)
        with _opened(options, config, record, None, alone=not names) as prover:
            told, code = again(prover, str(who()), options.names, options.environment)
    _placed(config, record.known, told["proofs"])
    _answer(options, told, "proofs")
    return code


@contextlib.contextmanager
def _record(config: Config) -> Iterator[_Record]:
    """Open the journal, and read it."""
    with contextlib.closing(bootstrap.journal()) as journal:
        yield _Record(journal, known(journal, tables(config.path, "guards")))


@contextlib.contextmanager
def _prover(options: Namespace, config: Config) -> Iterator[tuple[Prover, str]]:
    """Reach the incident's environment, and where a guard is about more than that, all; then read the record."""
    with _record(config) as record:
        incident = newest(record.journal, getattr(options, "incident", None)).id
        place = record.known.incidents[incident].environment
        named = wanted(record.known, config, incident, options.names)[0] if options.act == "prove" else []
        guards = [guard for guard in config.guards if (GUARD, guard.name) in named]
        alone = all(guard.environments == (place,) for guard in guards)
        with _opened(options, config, record, place, alone=alone) as prover:
            yield prover, incident


@contextlib.contextmanager
def _opened(options: Namespace, config: Config, record: _Record, place: str | None, *, alone: bool) -> Iterator[Prover]:
    """Reach hosts: of one environment `alone` (none: of none) with the one that it should be like, else of all.

    That one is reached last: errors propose commands for it.
    """
    own = config.known_environment(place)
    twin = own.same_as if own else None
    others = [one for one in config.environments if one is not own and (not alone or one.name == twin)]
    chosen: list[Environment | None] = [*others, own] if own else [*others]
    if own is None and (place or not alone) and not any(LOCAL in one.hosts for one in others):
        chosen.append(None)  # what was done here without a configuration
    with contextlib.ExitStack() as stack:
        fleets, step = [], _say_nothing
        for environment in chosen:
            its_place = environment or Environment(LOCAL, (LOCAL,))
            name = None if LOCAL in its_place.hosts else its_place.name  # what is proposed needs no -e here
            its = Namespace(**{**vars(options), "environment": name, "begun": None})
            fleet, console = stack.enter_context(_fleet(its, its_place))
            fleets.append((environment and environment.name, fleet))
            step = console.step
        setting = Setting(config.guards, config, record.journal, fleets, config.folder)
        yield Prover(setting, record.known, step, own.name if own and alone else None)


def _say_nothing(text: str) -> None:
    """Say nothing of how far it is."""


def _require_known(config: Config, incident: str, place: str, unknown: Sequence[str]) -> None:
    """Refuse names that are nothing of backout.toml's."""
    everything = [
        *(guard.name for guard in config.guards),
        *(check.name for check in checks_of(config, place)),
        *(command.name for command in config.commands),
    ]
    for name in unknown:
        where = config.path or "There is no backout.toml, so it"
        near = did_you_mean(name, everything) or f"backout review guard --incident {incident}"
        raise UsageError(f"{where} has no guard, no check of {place} and no command {name!r}.", next=near)


def _zone(config: Config, environment: str | None) -> str:
    """Give the time zone of those who are told of an environment; UTC where nobody says one."""
    zones = [one.zone for one in config.audiences if not one.environments or environment in one.environments]
    return next(filter(None, zones), "UTC")


def _add(options: Namespace, prover: Prover, case: Case, best: Sequence[Proposal], told: dict[str, Any]) -> int:
    """Write a candidate to backout.toml where it is not there yet, try it, and record that; says so in the document."""
    if not 1 <= options.add <= len(best):
        what = f"There is no candidate {options.add}; there are {len(best)}."
        raise UsageError(what, next=f"backout review guard --incident {case.incident.id}")
    one = best[options.add - 1]
    if one.table is not None:
        new = appended(located(options.config), "guards", one.table)
        new.write()
        told["added"] = {"file": str(new.path), "name": one.name, "text": new.added}
    tried = one.tried
    if tried is None:
        checks = checks_of(prover.setting.config, case.incident.environment)
        tried = prover.check(case, next(check for check in checks if check.name == one.name))
    key = case.incident.id, one.sort, one.name
    found = proven(case, key, tried)
    if tried.judged.held is not None:
        prover.record(str(who()), found)
    told["proof"] = row(found, tried.judged, prover.known.proofs.get(key, ()))
    return exit_code([told["proof"]])


def _answer(options: Namespace, told: dict[str, Any], drawing: str) -> None:
    if options.json:
        put_json(told, drawing)
        return
    from backout.render import proofs as drawn  # only where it is drawn

    put(getattr(drawn, drawing)(told, screen(options)))


def _placed(config: Config, known: Known, rows: Sequence[dict[str, Any]]) -> None:
    """Name the environment in the commands that are proposed, where it is not this machine's."""
    elsewhere = {one.name for one in config.environments if LOCAL not in one.hosts}
    for one in rows:
        incident = known.incidents.get(one["incident"])
        if incident is not None and incident.environment in elsewhere:
            one["next"] = there(one["next"], Namespace(environment=incident.environment))
