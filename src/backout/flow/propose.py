"""`backout review guard`: what would have refused an incident's bad change, ranked by what it would have cost."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from backout.config.parse import parse
from backout.config.values import Config
from backout.config.writing import key, table
from backout.errors import RefusedError
from backout.flow.incidents import NO_ENVIRONMENT
from backout.flow.proofs import checks_of
from backout.flow.prover import Case, Prover, Tried, plain
from backout.flow.replay import Found, unreached
from backout.model import proof
from backout.model.candidates import Candidate, Cost, Scene, most_of, proposed, rank
from backout.model.check import UNHEALTHY, CheckResult, turned_red
from backout.model.effect import Effect
from backout.model.guard import Guard
from backout.model.incident import CHECK as CHECK_LINE
from backout.model.proof import CHECK, GUARD

_CHECK_BREADTH = 900
_OF_BACKOUT_TOML = 0
"""A guard that is there already costs nobody anything new: of those that cost the same, it comes first."""


class Proposal(NamedTuple):
    """Something that would prove: a guard or a check, with its table where it is not in backout.toml yet."""

    sort: str
    name: str
    table: Mapping[str, Any] | None
    guard: Guard | None
    tried: Tried | None
    breadth: int

    @property
    def cost(self) -> Cost:
        """Give what it is ranked by."""
        counts = self.tried.backtest if self.tried else {}
        return Cost(counts.get("harmless", 0), counts.get("harmful", 0), self.breadth)


class Proposals(NamedTuple):
    """Proposals, best first; and what was left out, each by its name with the reason."""

    best: tuple[Proposal, ...]
    left_out: tuple[tuple[str, str], ...]


def propose(prover: Prover, case: Case, today: dt.date, zone: str) -> Proposals:
    """Find what proves, among the guards of backout.toml and what the bad change suggests.

    A RefusedError where nobody knows any more what that change did.
    """
    config = prover.setting.config
    there = [guard for guard in config.guards if guard.judges(case.bad[0].past.environment)]
    new = proposed(_scene(prover, case, today, zone), {guard.name for guard in config.guards})
    guards = [_guard(one, config) for one in new]
    tried = prover.guards(case, [*there, *guards])
    known = [proof.bare(prover.known.tables.get(guard.name, {})) for guard in there]
    fresh = [one for one in new if proof.bare(plain(one.table)) not in known]
    every = [
        *(Proposal(GUARD, guard.name, None, guard, tried[guard.name], _OF_BACKOUT_TOML) for guard in there),
        *(
            Proposal(GUARD, one.name, one.table, guard, tried[one.name]._replace(was=plain(one.table)), one.breadth)
            for one, guard in zip(new, guards, strict=True)
            if one in fresh
        ),
    ]
    held = [one for one in every if one.tried and one.tried.judged.held]
    checks = [Proposal(CHECK, name, None, None, None, _CHECK_BREADTH) for name in _red(prover, case)]
    left = [(one.name, one.tried.judged.why) for one in every if one.tried and not one.tried.judged.held]
    return Proposals(tuple(sorted([*held, *checks], key=lambda one: rank(one.cost))), tuple(left))


def document(prover: Prover, case: Case, found: Proposals) -> dict[str, Any]:
    """Give the `backout.candidates/1` document; nothing of it is added yet."""
    past = case.bad[0].past
    good = {"change": case.good_id, "how": case.how, "command": list(case.good[0].past.command)} if case.good else None
    return {
        "schema": "backout.candidates/1",
        "incident": case.incident.id,
        "bad": {"change": past.id, "environment": past.environment, "command": list(past.command)},
        "good": good,
        "narrower": f"backout split {past.id}" if _can_be_split(prover, case) else "",
        "candidates": [_row(number, one) for number, one in enumerate(found.best, 1)],
        "left_out": [{"name": name, "why": why} for name, why in found.left_out],
        "added": None,
        "proof": None,
        "unreached": unreached(prover.setting),
    }


def _can_be_split(prover: Prover, case: Case) -> bool:
    """Tell whether split may find the part of the bad change that broke a check, and did not yet."""
    checks = checks_of(prover.setting.config, case.incident.environment)
    return bool(checks) and not case.is_adopted and not _parts(prover.replay.found, case.bad_id)


def _row(number: int, one: Proposal) -> dict[str, Any]:
    counts = one.tried.backtest if one.tried else {}
    return {
        "number": number,
        "sort": one.sort,
        "name": one.name,
        "rule": one.guard.rule if one.guard else None,
        "there": one.table is None,
        "table": None if one.table is None else plain(one.table),
        "says": one.guard.says if one.guard else "",
        "why": one.tried.judged.why if one.tried else "It turned red by the bad change.",
        "backtest": dict(counts) or None,
        "cost": proof.cost(counts),
    }


def _scene(prover: Prover, case: Case, today: dt.date, zone: str) -> Scene:
    config, environment = prover.setting.config, case.bad[0].past.environment
    bad = _bad(prover, case)
    own = config.known_environment(environment)
    good = prover.replay.effects(case.good[0]) if case.good else None
    quiet = [one for one in prover.replay.found if one.past.environment == environment and _is_quiet(one, case.bad_id)]
    counts = [Counter(effect.kind for effect in prover.replay.effects(one) or ()) for one in quiet]
    counts.append(Counter(effect.kind for effect in good or ()))
    return Scene(
        case.incident.id,
        case.incident.text.splitlines()[0] if case.incident.text else "",
        environment if environment and environment != NO_ENVIRONMENT else "",
        bad,
        good or (),
        frozenset(_parts(prover.replay.found, case.bad_id)),
        most_of(counts),
        own.same_as or "" if own else "",
        zone,
        today,
    )


def _bad(prover: Prover, case: Case) -> list[Effect]:
    """Give what the bad change did, on all its hosts; a RefusedError where nobody knows it any more."""
    found: dict[tuple[str, str], Effect] = {}
    for one in case.bad:
        for effect in prover.replay.effects(one) or ():
            found.setdefault((effect.kind, effect.subject), effect)
    if not found:
        raise RefusedError(
            f"What change {case.bad_id} did is not known any more: gc let it go, or its host did not answer.",
            next=proof.AGAIN,
        )
    return list(found.values())


def _is_quiet(one: Found, bad: str) -> bool:
    """Tell whether a change was applied and did no harm."""
    return one.past.id != bad and one.past.harm is None and not one.past.refused


def _parts(found: Iterable[Found], bad: str) -> set[str]:
    """Give the selectors of what split found guilty in the bad change."""
    bodies = [change.body for one in found for change in one.changes.values()]
    return {
        selector
        for body in bodies
        if body.get("split_from") == bad
        for part in body.get("parts", ())
        for selector in part
    }


def _red(prover: Prover, case: Case) -> list[str]:
    """Name the checks that the bad change turned red, or that were red in the incident, and that are there today."""
    named = {str(entry.body.get("name")) for entry in case.incident.of_kind(CHECK_LINE) if _is_red(entry.body)}
    for one in case.bad:
        body = next(iter(one.changes.values())).body
        document = prover.replay.document(one) or {}
        rows = [*body.get("before", ()), *document.get("checks", ()), *body.get("results", ())]
        named.update(turned_red([CheckResult(**row) for row in rows]))
    return [check.name for check in checks_of(prover.setting.config, case.incident.environment) if check.name in named]


def _is_red(body: Mapping[str, Any]) -> bool:
    return body.get("result") == UNHEALTHY


def _guard(one: Candidate, config: Config) -> Guard:
    """Read a proposal as backout.toml would have it."""
    names = dict.fromkeys([*(known.name for known in config.environments), *one.table.get("environments", ())])
    hosts = "".join(f'[environments.{key(name)}]\nhosts = ["local"]\n' for name in names)
    return parse(hosts + table("guards", one.table), config.path or "backout.toml").guards[0]
