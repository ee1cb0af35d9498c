"""Guards: fetch what those of an environment need to know, once for all of them, judge, and say so in the verdict."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from backout.config.guards import zone_of
from backout.config.values import Environment
from backout.flow.rehearse import Measured, Wanted
from backout.model import rules
from backout.model.effect import effect_from
from backout.model.guard import OVERRIDDEN, REFUSED, WARNED, Answer, Guard, Known, Moment
from backout.model.incident import INCIDENT, open_on
from backout.model.staging import NOWHERE, Staging
from backout.model.verdict import ALLOW, Reason, refused
from backout.store.journal import Journal

Texts = Mapping[str, "str | None"]


class Guarding(NamedTuple):
    """The guards of an environment, the names of those that a person passes, and the folder of backout.toml."""

    guards: tuple[Guard, ...]
    overridden: frozenset[str]
    folder: str

    def needs(self, need: str) -> bool:
        """Tell whether one of them has to know something, by its name in `model.guard.NEEDS`."""
        return any(need in rules.rule(guard.rule).NEEDS for guard in self.guards)


class Hearing(NamedTuple):
    """What guards are told of a change besides its rehearsal.

    `texts` reads files as a rehearsal left them. `step` says what begins now.
    """

    guarding: Guarding
    environment: Environment | None
    journal: Journal
    wanted: Wanted
    texts: Callable[[Measured, Sequence[str]], Texts]
    step: Callable[[str], None]


class _Heard(NamedTuple):
    rows: list[dict[str, Any]]
    refusals: list[Reason]


def judged(hearing: Hearing, measured: Sequence[Measured], staging: Mapping[str, Staging]) -> list[Measured]:
    """Judge rehearsals of one command, those that are alike once; `staging` is by digest.

    Their documents say then what guards said (`guards`), and their verdicts what they refuse.
    """
    hearing.step("asking the guards")
    alike: dict[str, list[Measured]] = {}
    for one in measured:
        alike.setdefault(one.document["digest"], []).append(one)
    incidents = open_on(event.body for event in hearing.journal.events(type=INCIDENT))
    heard = {
        digest: _heard(hearing, _known(hearing, group, staging.get(digest, NOWHERE), incidents))
        for digest, group in alike.items()
    }
    return [_told(one, heard[one.document["digest"]]) for one in measured]


def _told(measured: Measured, heard: _Heard) -> Measured:
    if not heard.rows:
        return measured
    verdict = refused(measured.verdict, heard.refusals)
    measured.document.update(guards=heard.rows, verdict=verdict.document())
    return measured._replace(verdict=verdict)


def _heard(hearing: Hearing, known: Known) -> _Heard:
    """Ask every guard; what is said while an incident is open here is a warning."""
    heard = _Heard([], [])
    for guard in hearing.guarding.guards:
        reasons = rules.judge(guard, known)
        if not reasons:
            continue
        outcome = _outcome(hearing, guard, known)
        texts = [reason.what.removeprefix(f"Guard {guard.name}: ") for reason in reasons]
        heard.rows.append({"name": guard.name, "rule": guard.rule, "outcome": outcome, "reasons": texts})
        heard.refusals.extend(reasons if outcome == REFUSED else ())
    return heard


def _outcome(hearing: Hearing, guard: Guard, known: Known) -> str:
    if guard.name in hearing.guarding.overridden:
        return OVERRIDDEN
    return WARNED if (known.incidents or {}).get(known.environment or "") else REFUSED


def _known(
    hearing: Hearing, alike: Sequence[Measured], staging: Staging, incidents: Mapping[str, Sequence[str]]
) -> Known:
    """Gather what the guards need; rehearsals that are alike are one, of which somebody may be asked about."""
    guarding, environment = hearing.guarding, hearing.environment
    document = alike[0].document
    known = Known(
        effects=[effect_from(row) for row in document["effects"]],
        environment=None if environment is None else environment.name,
        command=document["command"],
        cwd=hearing.wanted.cwd or document["cwd"],
        after=hearing.wanted.after,
        document=document,
        expect=hearing.wanted.expect,
        asked=any(one.verdict.decision != ALLOW for one in alike),  # what is refused already needs nobody
        checks=0 if environment is None else len(environment.checks),
        staging=staging,
        incidents=incidents,
    )
    if guarding.needs("moments"):
        zones = {guard.settings["zone"] for guard in guarding.guards if "zone" in guard.settings}
        known = known._replace(moments=moments(time.time(), zones))
    if guarding.needs("texts"):
        known = known._replace(texts=_texts(hearing, alike[0], known))
    if guarding.needs("answers"):
        known = known._replace(answers=_answers(hearing, document))
    return known


def _answers(hearing: Hearing, document: dict[str, Any]) -> dict[str, Answer]:
    """Ask the programs, one after the other, in the order of the file."""
    answers = {}
    for guard in hearing.guarding.guards:
        if "answers" in rules.rule(guard.rule).NEEDS:
            hearing.step(f"asking the guard {guard.name}")
            answers[guard.name] = answer(guard, document, hearing.guarding.folder)
    return answers


def answer(guard: Guard, document: dict[str, Any], folder: str) -> Answer:
    """Ask a guard's program about an effects document, in the folder of backout.toml."""
    from backout import program

    line, within_s = guard.settings["run"], guard.settings["within"]
    return program.ask(guard.name, line, json.dumps(document).encode(), folder, within_s)


def moments(at: float, zones: Sequence[str] | set[str]) -> dict[str, Moment]:
    """Tell what day and time it is in each zone, at a moment in seconds since the epoch."""
    found = {}
    for zone in zones:
        there = datetime.fromtimestamp(at, zone_of(zone))
        told = f"{there:%a} {there:%Y-%m-%d} {there:%H:%M}"
        found[zone] = Moment(there.weekday(), there.hour * 60 + there.minute, told)
    return found


def _texts(hearing: Hearing, measured: Measured, known: Known) -> Texts:
    """Read the files that guards want, and those that these name in turn."""
    texts: dict[str, str | None] = {}
    guards = [guard for guard in hearing.guarding.guards if "texts" in rules.rule(guard.rule).NEEDS]
    while True:
        knowing = known._replace(texts=texts)
        paths = set[str]().union(*(rules.rule(guard.rule).paths(guard, knowing) for guard in guards))
        missing = sorted(paths - texts.keys())
        if not missing:
            return texts
        texts.update(dict.fromkeys(missing))
        texts.update(hearing.texts(measured, missing))
