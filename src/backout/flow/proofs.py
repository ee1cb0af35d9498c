"""`backout review prove` and `guard test --proofs`: what an incident's actions stand on is tried, and tried again.

What came of it is recorded: of `prove` each time, of `guard test --proofs` where it is not what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from backout.config.values import Config
from backout.flow.instant import instant
from backout.flow.prover import Case, Known, Prover, Tried
from backout.flow.replay import unreached
from backout.model import proof
from backout.model.check import Check
from backout.model.contrast import NAMED, REST
from backout.model.proof import CHECK, COMMAND, GUARD, Judged, Proof, last_held

Key = tuple[str, str, str]
HELD, RED, NOT_PROVEN, NOT_TOLD = "held", "red", "not proven", "not told"
"""What came of a proof: it holds; it held once and does not any more; it never did; nobody can tell (any more)."""
DONE, REFUSED = 0, 3


class Between(NamedTuple):
    """What a person says of the two changes, by their ids; None: what the record tells."""

    bad: str | None = None
    good: str | None = None


def prove(
    prover: Prover, who: str, incident: str, wanted: Sequence[tuple[str, str]], between: Between
) -> tuple[dict[str, Any], int]:
    """Try what is wanted for an incident, each by its sort and name, and record what came of it.

    Gives the `backout.proofs/1` document, and 0 where all of it proves, else 3.
    """
    keys = [(incident, sort, name) for sort, name in wanted]
    cases = {key: _case(prover, key, between) for key in keys if key[1] != COMMAND}
    tried = _tried(prover, keys, cases)
    rows = []
    for key in keys:
        before = prover.known.proofs.get(key, ())
        found = tried.get(key) or Tried(_missing(prover, key, before))
        one = proven(cases.get(key), key, found)
        if found.judged.held is not None:
            prover.record(who, one)
        rows.append(row(one, found.judged, before))
    return document(prover, rows, incident=incident), exit_code(rows)


def _case(prover: Prover, key: Key, between: Between) -> Case:
    """Give what a name is held between: what a person says; else what it held between before; else as the record tells.

    One incident may have more than one bad change, each with a guard of its own.
    """
    held = last_held(prover.known.proofs.get(key, ()))
    earlier = prover.again(held) if held and between == Between() else None
    return earlier or prover.case(key[0], between.bad, between.good)


def _tried(prover: Prover, keys: Sequence[Key], cases: Mapping[Key, Case]) -> dict[Key, Tried]:
    """Try what is there; guards that are held between the same are replayed together."""
    config, told = prover.setting.config, prover.known.incidents[keys[0][0]]
    tried: dict[Key, Tried] = {}
    together: dict[tuple[str, str], list[Key]] = {}
    for key in (key for key in keys if key[1] == GUARD):
        together.setdefault((cases[key].bad_id, cases[key].good_id), []).append(key)
    for alike in together.values():
        names = [name for _, _, name in alike]
        found = prover.guards(cases[alike[0]], [guard for guard in config.guards if guard.name in names])
        tried.update({key: found[key[2]] for key in alike if key[2] in found})
    for key in keys:
        there = _named(key[2], {CHECK: checks_of(config, told.environment), COMMAND: config.commands}.get(key[1], ()))
        if there is not None:
            tried[key] = prover.command(told, there) if key[1] == COMMAND else prover.check(cases[key], there)
    return tried


def again(
    prover: Prover, who: str, names: Sequence[str] = (), environment: str | None = None
) -> tuple[dict[str, Any], int]:
    """Try every proof of every incident once more (of some names, of one environment's); 3 where one turned red.

    What no action of its incident's review names any more is told, and asks for nothing; nor does a name in whose place
    another one proves.
    """
    rows, newest = [], [proofs[-1] for proofs in prover.known.proofs.values()]
    for key, before in prover.known.proofs.items():
        incident = prover.known.incidents.get(key[0])
        if (names and key[2] not in names) or (environment and (not incident or incident.environment != environment)):
            continue
        one = last_held(before) or before[-1]
        found = _again(prover, one)
        now = one._replace(held=found.judged.held is True, why=found.judged.why, was=found.was)
        if found.judged.held is not None and now.held != before[-1].held:
            prover.record(who, now)
        named = key[0] not in prover.known.reviews or key[1:] in prover.known.names(key[0])
        needed = named and not proof.follows(one, newest)
        rows.append(row(now, found.judged, before, needed=needed))
    return document(prover, rows, environment=environment), exit_code(rows, only=RED)


def _again(prover: Prover, one: Proof) -> Tried:
    """Try what was recorded once more, with the guards, checks and commands of today."""
    config, incident = prover.setting.config, prover.known.incidents.get(one.incident)
    if incident is None:
        return Tried(Judged(None, f"There is no incident {one.incident} on record.", "backout export --list"))
    checks = checks_of(config, incident.environment)
    there = _named(one.name, {GUARD: config.guards, CHECK: checks, COMMAND: config.commands}[one.sort])
    if there is None:
        return Tried(_missing(prover, one.key, (one,)))
    if one.sort == COMMAND:
        return prover.command(incident, there)
    case = prover.again(one)
    if case is None:
        what = f"Change {' or '.join(filter(None, (one.bad, one.good)))} is not on record here."
        return Tried(Judged(None, what, f"Prove it anew: backout review prove {one.name} --incident {one.incident}"))
    found = prover.guards(case, [there], tests=False)[one.name] if one.sort == GUARD else prover.check(case, there)
    edits = proof.edited(one.was, found.was) if one.held and found.judged.held is False else ""
    why = f"{found.judged.why} {edits}".rstrip()
    return found._replace(judged=found.judged._replace(why=why))


def _named(name: str, among: Iterable[Any]) -> Any:
    return next((value for value in among if value.name == name), None)


def _missing(prover: Prover, key: Key, before: Sequence[Proof]) -> Judged:
    """Say that nothing of that name is in backout.toml, and what of today may be the same under another name."""
    held = last_held(before)
    if held is None:
        way = f"Put it there, or see what would prove: backout review guard --incident {key[0]}"
        return Judged(held=False, why=f"There is no {key[1]} {key[2]} in backout.toml.", next=way)
    return proof.gone(held, [*prover.known.tables.values()] if key[1] == GUARD else [])


def checks_of(config: Config, environment: str) -> tuple[Check, ...]:
    """Give the checks of an environment; none where backout.toml names no such environment."""
    found = config.known_environment(environment)
    return () if found is None else found.checks


def wanted(
    known: Known, config: Config, incident: str, names: Sequence[str]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Say what is to be tried, by sort and name, and which names are none of backout.toml's.

    Where no name is given: what the actions of the review name, what was tried before, guards that come from it.
    """
    told = known.incidents[incident]
    everything = [
        *((GUARD, guard.name) for guard in config.guards),
        *((CHECK, check.name) for check in checks_of(config, told.environment)),
        *((COMMAND, command.name) for command in config.commands),
    ]
    before = [key[1:] for key in known.of(incident)]
    if not names:
        ours = [(GUARD, guard.name) for guard in config.guards if guard.incident == incident]
        acted = known.names(incident)
        return list(dict.fromkeys(acted or [*before, *ours])), []
    found = [each for name in names for each in dict.fromkeys((*everything, *before)) if each[1] == name]
    return list(dict.fromkeys(found)), [name for name in names if name not in (each[1] for each in found)]


def proven(case: Case | None, key: Key, tried: Tried) -> Proof:
    """Make a proof of what came of trying one; of a command there is no bad change."""
    bad, good = ("", "") if case is None or key[1] == COMMAND else (case.bad_id, case.good_id)
    if case is not None and key[1] == CHECK and case.how not in (REST, NAMED):
        good = ""
    held = tried.judged.held is True
    return Proof(*key, bad, good, held, tried.judged.why, tried.backtest, tried.was, at=0.0, seq=0)


def row(one: Proof, judged: Judged, before: Sequence[Proof], *, needed: bool = True) -> dict[str, Any]:
    """Give what is told of a proof; `before` are those of its name that were recorded earlier."""
    held = last_held(before)
    result = HELD if judged.held else NOT_TOLD if judged.held is None else RED if held else NOT_PROVEN
    return {
        **{name: getattr(one, name) for name in ("incident", "sort", "name", "bad", "good")},
        "result": result,
        "why": judged.why,
        "next": judged.next,
        "backtest": dict(one.backtest) or None,
        "cost": proof.cost(one.backtest),
        "held_at": instant(held.at) if held else None,
        "needed": needed,
    }


def document(
    prover: Prover, rows: list[dict[str, Any]], *, incident: str | None = None, environment: str | None = None
) -> dict[str, Any]:
    """Give the `backout.proofs/1` document."""
    return {
        "schema": "backout.proofs/1",
        "incident": incident,
        "environment": environment,
        "proofs": rows,
        "unreached": unreached(prover.setting),
    }


def exit_code(rows: Iterable[Mapping[str, Any]], *, only: str | None = None) -> int:
    """Give 3 where one of them does not hold, or, with `only`, where one that is needed came out as that; else 0.

    What cannot be told any more and held before counts as it was.
    """
    if only is None:
        still = [row for row in rows if row["result"] == NOT_TOLD and row["held_at"]]
        return REFUSED if any(row["result"] != HELD and row not in still for row in rows) else DONE
    return REFUSED if any(row["result"] == only and row["needed"] for row in rows) else DONE
