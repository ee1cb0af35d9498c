"""`backout calm`: resolved once the checks are healthy, or by word; then what is still paused, and what is to be said.

Each step is recorded before the next, and is done only where the record lacks it: after a crash, calm again goes on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from backout.config.guards import zone_of
from backout.config.values import LOCAL, Audience, Config, Environment
from backout.errors import BackoutError, RefusedError, UsageError
from backout.flow import backups
from backout.flow.export import downtimes
from backout.flow.incidents import current, read, record, row_of, state
from backout.flow.instant import instant_if_known
from backout.flow.notices import Draft, draft, keep_draft
from backout.model import notice
from backout.model.check import HEALTHY
from backout.model.downtime import downtime, turned_green
from backout.model.incident import CHECK, CLOCK, ENTRY, INCIDENT, RESOLVED, Incident
from backout.model.ledger import entry_from
from backout.model.notice import LETTER
from backout.model.pauses import paused
from backout.model.redact import redact
from backout.render.letter import how_long, not_known_yet
from backout.store.journal import Journal

if TYPE_CHECKING:
    from backout.flow.fleet import Fleet

BY_CHECKS, BY_WORD = "checks", "word"
FIELDS = ("why", "done", "lost", "again")
"""What a person says for the letters."""


class Closing(NamedTuple):
    """What a person says at the end: that it is resolved, and the fields of the letters."""

    word: str = ""
    review: date | None = None
    fields: Mapping[str, str] = {}


class Asked(NamedTuple):
    """What the checks said, a row each, and which hosts could not be asked."""

    checks: tuple[dict[str, str], ...] = ()
    unreached: tuple[dict[str, str], ...] = ()
    hosts: tuple[str, ...] = ()
    """What the hosts that were reached call themselves."""


class Calm(NamedTuple):
    """One closing of one incident."""

    journal: Journal
    config: Config
    who: str
    incident: str
    new_id: Callable[[], str]

    @property
    def told(self) -> Incident:
        """Give what is known of the incident now."""
        return read(self.journal)[self.incident]

    @property
    def environment(self) -> Environment | None:
        """Give the incident's environment; None where the configuration names none such."""
        return self.config.known_environment(self.told.environment)

    def ask(self, fleet: Fleet) -> Asked:
        """Run the checks on the hosts, and put what they say on the timeline."""
        results = fleet.everyone(fleet.each(lambda session: session.live_checks()))
        rows, unreached = list[dict[str, str]](), list[dict[str, str]]()
        for host, result in results.items():
            if isinstance(result, BackoutError):
                unreached.append({"host": host, "what": result.what})
                continue
            name = fleet.greetings[host].name
            rows += [{"host": name, "name": r.name, "result": r.result, "output": redact(r.output)} for r in result]
        for row in rows:
            record(self.journal, self.who, self.incident, CHECK, f"{row['name']} is {row['result']}", more=row)
        return Asked(tuple(rows), tuple(unreached), tuple(greeting.name for greeting in fleet.greetings.values()))

    def resolve(self, asked: Asked, word: str) -> None:
        """Say that it is over, by the checks or by word, and when it was mitigated; refused where neither tells so."""
        red = [f"{row['name']} on {row['host']} is {row['result']}" for row in asked.checks if row["result"] != HEALTHY]
        red += [f"{row['host']} could not be asked: {row['what'].rstrip('.')}" for row in asked.unreached]
        if not word:
            self._require_healthy(asked, red)
        told = self.told
        green = turned_green(told.entries)
        if told.clock("mitigated") is None and green is not None and not red:
            more = {"clock": "mitigated", "value": green}
            record(self.journal, self.who, self.incident, CLOCK, "mitigated: the checks turned healthy", more=more)
        by = BY_CHECKS if asked.checks and not red else BY_WORD
        said: dict[str, Any] = {"word": redact(word)} if word else {}
        state(self.journal, self.who, self.incident, told.environment, RESOLVED, by=by, **said)

    def _require_healthy(self, asked: Asked, red: list[str]) -> None:
        if asked.checks and not red:
            return
        what = f"It is not over: {'; '.join(red)}." if red else "No check tells whether it is over."
        raise RefusedError(
            what,
            state=f"Incident {self.incident} is open; nothing was changed.",
            next=f'Where it is over all the same: backout calm --incident {self.incident} --word "why you say so"',
        )

    def write(self, closing: Closing, today: Callable[[], date]) -> list[dict[str, Any]]:
        """Keep the drafts of what is to be said, where they are not kept as they are already."""
        told, keys = self.told, notice.told_of(self.told, self.config.audiences)
        rows = []
        for audience in (one for one in self.config.audiences if one.key in keys):
            rows.append(self._kept(told, self._resolved(told, audience, closing)))
            rows.append(self._kept(told, self._letter(told, audience, closing, today)))
        return rows

    def write_again(self, again: str) -> list[dict[str, Any]]:
        """Keep a second letter for each audience that had one, or has one that waits: what it said, and this.

        `again` says whether it can happen again, now that this is known.
        """
        told, sent = self.told, notice.words_sent(self.told)
        rows = []
        for audience in self.config.audiences:
            letters = [word for word in sent.get(audience.key, ()) if word.body["type"] == LETTER]
            if letters or notice.drafted(told, audience.key, LETTER) is not None:
                said = letters[-1].body.get("fields", {}) if letters else {}
                fields = {name: said[name] for name in ("why", "done", "lost") if said.get(name)}
                word = self._letter(told, audience, Closing(fields={**fields, "again": again}), date.today)
                rows.append(self._kept(told, word))
        return rows

    def _before(self, told: Incident, audience: Audience, type: str) -> Mapping[str, Any]:
        known = notice.drafted(told, audience.key, type)
        return known.body.get("fields", {}) if known is not None else {}

    def _resolved(self, told: Incident, audience: Audience, closing: Closing) -> Draft:
        given = {**self._before(told, audience, RESOLVED), **closing.fields}
        since = told.clock("mitigated") or told.clock("resolved")
        fields = {"since": since, "done": given.get("done", ""), "lost": given.get("lost", "")}
        return draft(told, audience, RESOLVED, RESOLVED, fields)

    def _letter(self, told: Incident, audience: Audience, closing: Closing, today: Callable[[], date]) -> Draft:
        before = self._before(told, audience, LETTER)
        given = {**before, **closing.fields}
        if closing.review is not None or not given.get("again"):
            again = closing.fields.get("again") or not_known_yet(closing.review or today())
        else:
            again = given["again"]
        zone = zone_of(audience.zone) if audience.zone else None
        down = how_long(downtime(told, audience.checks, time.time()), zone)
        said = {name: given.get(name, "") for name in ("why", "done", "lost")}
        return draft(told, audience, LETTER, RESOLVED, {"how_long": down, **said, "again": again})

    def _kept(self, told: Incident, word: Draft) -> dict[str, Any]:
        known = notice.drafted(told, word.audience.key, word.type)
        if known is not None and known.body.get("fields") == dict(word.fields):
            body = known.body
        else:
            body = keep_draft(self.journal, self.who, self.incident, word, self.new_id).body
        return {
            **{name: body[name] for name in ("notice", "audience", "type", "subject", "plain")},
            "missing": list(word.missing),
            "sent": known is not None and body is known.body and notice.is_told(told, known),
        }

    def document(self, asked: Asked, drafts: list[dict[str, Any]]) -> dict[str, Any]:
        """Give the `backout.calm/1` document."""
        told = self.told
        last: Mapping[str, Any] = {}
        for event in self.journal.events(type=INCIDENT):
            if event.body.get("id") == told.id and event.body.get("state") == RESOLVED:
                last = event.body
        return {
            "schema": "backout.calm/1",
            "incident": told.id,
            "environment": told.environment,
            "by": last.get("by"),
            "word": last.get("word"),
            "mitigated_at": instant_if_known(told.clock("mitigated")),
            "resolved_at": instant_if_known(told.clock("resolved")),
            "checks": list(asked.checks),
            "unreached": list(asked.unreached),
            "paused": self._paused(told.environment, asked.hosts),
            "backups": self._backups(asked.hosts),
            "downtime": downtimes(told, self.config, time.time()),
            "drafts": drafts,
        }

    def _paused(self, name: str, hosts: Iterable[str]) -> list[dict[str, Any]]:
        """Tell which units still stand still, as far as the record tells, and what starts them again."""
        environment = self.environment
        on = () if environment is None else backups.option(environment.name, environment.hosts)
        rows = []
        for one in paused(map(entry_from, self.journal.entries()), name, {*hosts}):
            verb, *words = one.start()
            start = " ".join(["backout", verb, *on, *words])
            rows.append({"change": one.change, "host": one.host, "units": list(one.units), "start": start})
        return rows

    def _backups(self, hosts: Iterable[str]) -> list[dict[str, Any]]:
        """Tell of each backup of the environment how old it is, and whether it is known to be restorable."""
        environment = self.environment
        if environment is None:
            return []
        mine = [one for one in self.config.backups if not one.environments or environment.name in one.environments]
        names = {*hosts, *environment.hosts, *([os.uname().nodename] if LOCAL in environment.hosts else [])}
        rows = [row_of(event) for event in self.journal.events(type=ENTRY)]
        known = backups.of_environment(mine, environment.name, read(self.journal).values(), rows, names)
        do = partial(backups.do_there, environment.hosts, backups.option(environment.name, environment.hosts))
        return [backups.told(one, known[one.name], time.time(), do) for one in mine]


def meant(journal: Journal, name: str | None, environment: str | None) -> str:
    """Give the incident that is meant; where none is open, the newest: whoever was interrupted goes on with it."""
    found = current(journal, name, environment)
    if found is None:
        known = [one.id for one in read(journal).values() if environment in (None, one.environment)]
        found = known[-1] if known else None
    if found is None:
        where = f" on {environment}" if environment else ""
        raise UsageError(f"No incident is on record{where}.", next="backout panic opens one.")
    return found
