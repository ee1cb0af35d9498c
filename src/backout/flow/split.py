"""`backout split`: the smallest part of a change that breaks it, found in trials alone, and the rest as a change.

The live host is not touched: what is recorded is the change that is ready.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from backout import __version__
from backout.errors import FailedError, UsageError
from backout.flow.culprits import Found, Part, Searching
from backout.flow.rehearse import Wanted, measure
from backout.flow.run import body_of, refuse
from backout.flow.session import Session, require_finished
from backout.flow.trials import Open, Trials
from backout.model.atoms import NOISE
from backout.model.check import Check, CheckResult, turned_red
from backout.model.oracle import Flaky, Oracle
from backout.model.redact import redact
from backout.model.verdict import ASK, Reason, Verdict

FOUND, NOT_FOUND, FLAKY = 0, 1, 5


class Asked(NamedTuple):
    """What a person asked for: names of checks (none: those that turned red), and a limit for all in seconds."""

    checks: tuple[str, ...] = ()
    timeout_s: float | None = None


def split_command(session: Session, wanted: Wanted, asked: Asked, halves: Sequence[Open]) -> tuple[dict[str, Any], int]:
    """Rehearse a command, record it as refused, and split that; a FailedError where no check turned red."""
    _require_checks(session, asked)
    require_finished(session)
    measured = measure(session, wanted)
    if not turned_red([CheckResult(**row) for row in measured.document["checks"]]):
        session.link.ask("let_go", change=measured.change)
        raise FailedError(
            "No check turned red in the rehearsal of this command: there is nothing to split.",
            next="Give its checks a rehearsal that starts the application, or: backout run -- the same command",
        )
    refuse(session, measured.document, body_of(session, wanted, measured))
    return split(session, measured.change, asked, halves)


def split(session: Session, change: str, asked: Asked, halves: Sequence[Open]) -> tuple[dict[str, Any], int]:
    """Find the parts of a recorded change that break its checks; gives the document, and 0 where all was found.

    1 where the time was over, 5 where a check answers both ways. FailedErrors say why there is nothing to find.
    """
    begun = time.monotonic()
    _require_checks(session, asked)
    require_finished(session)
    recorded = _recorded(session, change)
    checks = _checks(session, recorded, asked)
    session.tell.step(f"taking {change} apart")
    told = session.link.ask("atoms", change=change)
    with Trials(change, halves, asked.timeout_s) as trials:
        search = Searching(session.tell, trials, len(told["atoms"]), checks)
        found = search.find()
    if not (found.flaky or found.oracle.broken):
        raise _nothing(change, found.oracle)
    rest, limits = _rest(session, recorded, told["atoms"], found)
    document = {
        "schema": "backout.split/1",
        "change": change,
        "host": recorded["host"],
        "environment": recorded["environment"],
        "checks": list(found.oracle.checks),
        "parts": [_part(part, told["atoms"]) for part in found.parts],
        "rest": rest,
        "trials": trials.count,
        "unresolved": found.unresolved,
        "flaky": [_flaky(row) for row in found.flaky],
        "duration_s": round(time.monotonic() - begun, 3),
        "limits": list(dict.fromkeys([*told["limits"], *search.limits, *_left_out(recorded, found), *limits])),
    }
    return document, FLAKY if found.flaky else NOT_FOUND if found.over else FOUND


def _recorded(session: Session, change: str) -> dict[str, Any]:
    """Give what is on record of a change, with its document; a UsageError where it cannot be taken apart."""
    known = next((row for row in session.changes() if row["id"] == change), None)
    if known is None:
        raise UsageError(f"There is no change {change} on this host.", next="backout log lists them.")
    body = known["body"]
    if body.get("undoes"):
        raise UsageError(
            f"Change {change} is the back-out of {body['undoes']}.", next=f"backout split {body['undoes']}"
        )
    if body.get("adopted"):
        raise UsageError(f"Change {change} is drift that was adopted: backout has nothing of it to try.")
    if known["expired"]:
        raise UsageError(
            f"The bits of change {change} were let go by gc: there is nothing to try.",
            next="Rehearse its command again: backout split -- the same command",
        )
    document = session.link.ask("show", change=change)["document"]
    if not document["effects"]:
        raise FailedError(f"Change {change} has no effects: there is nothing to split.", next=f"backout show {change}")
    return {**document, "body": body, "stands": known["stands"]}


def _require_checks(session: Session, asked: Asked) -> None:
    """Be told by something what breaks the application, before anything is tried."""
    names = [check.name for check in session.checks]
    environment = session.environment
    if environment is None:
        raise UsageError(
            "No environment of backout.toml lists this machine, so no check tells what breaks the application.",
            next="backout init writes one, or name it: -e ENV",
        )
    if not names:
        raise UsageError(
            f"Environment {environment.name} has no checks, so nothing tells what breaks the application.",
            next="Write one into backout.toml: [[environments.NAME.checks]]",
        )
    for name in asked.checks:
        if name not in names:
            raise UsageError(f"There is no check {name!r}; there are: {', '.join(names)}.", next="backout split --help")


def _checks(session: Session, recorded: Mapping[str, Any], asked: Asked) -> tuple[Check, ...]:
    """Choose the checks to ask: those named, else those that turned red by the record, else all."""
    known = {check.name: check for check in session.checks}
    red = turned_red([CheckResult(**row) for row in recorded["checks"]])
    names = asked.checks or [name for name in red if name in known] or list(known)
    return tuple(check for name, check in known.items() if name in names)


def _nothing(change: str, known: Oracle) -> FailedError:
    """Say why there is nothing to find."""
    what, advice = [], []
    if known.unwell:
        what.append(f"{_named(known.unwell)} without any of change {change}, too: the host is unwell without it.")
        advice.append("Look at what the check says, and mend that first.")
    if known.passing:
        what.append(f"{_named(known.passing, 'passes', 'pass')} in a trial with all of change {change}.")
        advice.append(
            "What fails only live needs what a rehearsal does not have: a `rehearsal` of that check in backout.toml "
            "that starts the application as it runs there."
        )
    if known.not_run:
        what.append(f"{_named(known.not_run, 'is', 'are')} not run in a trial: {known.not_run[0].output.strip()}")
        advice.append("Give it a `rehearsal` in backout.toml: how the application is started and asked there.")
    return FailedError(" ".join(what), next=" ".join(advice))


def _named(results: Sequence[CheckResult], one: str = "fails", many: str = "fail") -> str:
    names = ", ".join(repr(result.name) for result in results)
    return f"Check {names} {one}" if len(results) == 1 else f"Checks {names} {many}"


def _left_out(recorded: Mapping[str, Any], found: Found) -> list[str]:
    """Say what was not tried: a live command, checks that tell nothing, and what there was no time for."""
    known = found.oracle
    after = recorded["body"].get("after")
    limits = [f"Not run in a trial: the command after the apply, {redact(after)}"] if after else []
    if known.unwell:
        limits.append(f"{_named(known.unwell)} without the change, too, and tells nothing about it.")
    if known.not_run:
        limits.append(f"{_named(known.not_run, 'is', 'are')} not run in a trial: it names no rehearsal.")
    if found.over:
        limits.append("The time was over: what is told is what was known by then, and was not tried once more.")
    return limits


def _part(part: Part, atoms: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "atoms": [_atom(atoms[at]) for at in sorted(part.atoms)],
        "check": part.result.name,
        "output": part.result.output,
        "smallest": part.smallest,
    }


def _atom(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("kind", "subject", "before", "after", "effects", "paths")}


def _flaky(row: Flaky) -> dict[str, Any]:
    said = [{"result": result.result, "output": result.output} for result in row]
    return {"check": row.one.name, "said": said}


def _rest(
    session: Session, recorded: Mapping[str, Any], atoms: Sequence[Mapping[str, Any]], found: Found
) -> tuple[dict[str, Any] | None, list[str]]:
    """Have the host compose what remains, and record it as ready; gives what the document says of it, and limits."""
    if not found.rest or not any(atoms[at]["kind"] != NOISE for at in found.rest):
        return None, []
    new = session.new_id()
    how = {"new": new, "checks": [check._asdict() for check in session.checks]}
    session.tell.step("putting the rest together")
    try:
        answer = session.link.ask("compose", change=recorded["change"], chosen=sorted(found.rest), **how)
    except KeyboardInterrupt:
        session.link.ask("let_go", change=new)
        raise
    document = answer["document"]
    trouble = _trouble(answer)
    if trouble:
        session.link.ask("let_go", change=new)
        return None, [f"The rest is not ready: {text}" for text in trouble]
    _keep(session, recorded, document, [[_selector(atoms[at]) for at in sorted(p.atoms)] for p in found.parts])
    counts = Counter(effect["kind"] for effect in document["effects"])
    effects = len(document["effects"])
    told = {"change": new, "effects": effects, "counts": dict(counts), "digest": document["digest"]}
    return {**told, "stands": recorded["stands"]}, []


def _trouble(answer: Mapping[str, Any]) -> list[str]:
    """Say what keeps the rest from being ready."""
    red = [row for row in answer["document"]["checks"] if row["result"] == "unhealthy"]
    return [
        *(f"{path}: {what}" for path, what in answer["moved"].items()),
        *answer["obstacles"],
        *(f"check {row['name']!r} is unhealthy with it: {row['output'].strip()}" for row in red),
    ]


def _keep(session: Session, recorded: Mapping[str, Any], document: dict[str, Any], parts: list[list[str]]) -> None:
    """Record the rest as a change that is ready: judged when it is run, like any other."""
    whole, new = recorded["change"], document["change"]
    ready = Reason(
        f"Split from change {whole}, and ready; it is judged when it is run.", next=f"backout run --change {new}"
    )
    environment = None if session.environment is None else session.environment.name
    document.update(
        environment=environment, command=["backout", "split", whole], verdict=Verdict(ASK, (ready,)).document()
    )
    for row in document["effects"]:
        row["expected"] = None
    body = {
        **{name: recorded["body"][name] for name in ("why", "after") if name in recorded["body"]},
        "release": __version__,
        "who": str(session.who),
        "command": document["command"],
        "cwd": document["cwd"],
        "environment": environment,
        "digest": document["digest"],
        "checks": [check._asdict() for check in session.checks],
        "before": [],
        "expect": [],
        "split_from": whole,
        "parts": parts,
    }
    refuse(session, document, body)


def _selector(atom: Mapping[str, Any]) -> str:
    return f"{atom['kind']}:{atom['subject']}"
