"""`backout panic`: an incident is open at once; what is known is shown, then what hosts say; answers are kept as given.

Nothing may keep it from working: what the journal cannot take is said, and what cannot be read is left out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from backout import __version__
from backout.config.values import LOCAL, Audience, Backup, Config, Environment
from backout.errors import BackoutError
from backout.flow import backups, incidents
from backout.flow.backups import is_untested
from backout.flow.before import Before
from backout.flow.calls import LIMIT_S, Calls, Heard
from backout.flow.incidents import NO_ENVIRONMENT
from backout.flow.instant import instant
from backout.flow.ways import Scene, way_told, ways
from backout.link.wire import CHANGING_S
from backout.model.check import HEALTHY, UNHEALTHY
from backout.model.incident import (
    BACKUP,
    CHECK,
    DEFAULT_SEVERITY,
    ENTRY,
    INCIDENT,
    LEDGER,
    NOTE,
    OPEN,
    Entry,
    Incident,
    Row,
    fold,
)
from backout.model.notice import due
from backout.model.pauses import paused
from backout.model.redact import redact
from backout.model.review import REVIEW
from backout.model.situation import (
    RESTORE,
    STANDS,
    UNFINISHED,
    Changed,
    Health,
    Made,
    Observed,
    backs_took,
    entries_of,
    health,
    last_changes,
    of_environment,
    seen_by_ledgers,
    seen_by_lines,
)
from backout.model.ways import REHEARSAL
from backout.store.aside import KeepingJournal
from backout.store.journal import Journal

Result = TypeVar("Result")
Named = TypeVar("Named", Audience, Backup)
QUESTIONS = {"see": "What do you see?", "try": "What will you try?", "undo": "How will you undo it?"}
"""What is asked at a terminal; each answer is a note."""
MOST_CHANGES = 20
GREETING, ENTRIES, ENFORCERS, CHECKS, PAUSE = "hello", "entries", "enforcers", "check", "pause"
SAVE, BACKING_UP, TESTING = "save", "back up ", "test the restore of "
"""What hosts are asked for in the background; the last two are followed by a backup's name."""
SAVES_S = 20.0
"""How long a host may take to save its state."""
JOURNAL, ASIDE, NOWHERE = "journal", "aside", "nowhere"
DONE, NEEDS_PERSON = 0, 5
_SLACK_S = 2.0
"""What a host may take besides its checks' own times."""


class Alarm(NamedTuple):
    """Where it broke, as far as was said. `option` names the environment in commands: `-e` and its name, or nothing.

    `text` is what others will read; `typed` is all that was typed, where that was not all understood.

    Audiences and backups are those of this environment; commands are those that backout.toml names.
    """

    environment: Environment
    option: tuple[str, ...] = ()
    text: str = ""
    severity: int | None = None
    audiences: tuple[Audience, ...] = ()
    backups: tuple[Backup, ...] = ()
    config: Config = Config()
    typed: str = ""


class Said(NamedTuple):
    """What a host has said so far; `failed` is why there is no more."""

    name: str = ""
    enforcers: tuple[dict[str, Any], ...] = ()
    answered: bool = False
    failed: BackoutError | None = None


class Panic:
    """One alarm: what is known of it, and what is kept of it."""

    def __init__(self, journal: KeepingJournal, who: str, new_id: Callable[[], str], alarm: Alarm) -> None:
        """Know nothing yet; `trouble` says in the end what stood in the way."""
        self.alarm, self.trouble = alarm, list[BackoutError]()
        self.incident, self.declared_at, self.joined = "", time.time(), False
        self.said = {host: Said() for host in alarm.environment.hosts}
        self._journal, self._who, self._new_id = journal, who, new_id
        self._rows: list[Row] = []
        self._folded: tuple[int, dict[str, Incident]] = (0, {})
        self._ledger: list[Mapping[str, Any]] = []
        self._seen: list[Observed] = []
        self._saved: dict[str, dict[str, Any]] = {}
        self._ran: dict[str, int] = {}
        self._is_lost = False
        self._before = Before(journal, alarm.config)

    @property
    def kept(self) -> str:
        """Tell where all of it is kept."""
        return NOWHERE if self._is_lost else ASIDE if self._journal.lays_aside else JOURNAL

    @property
    def exit_code(self) -> int:
        """Give 0 where an incident is open, 5 where something could be kept nowhere."""
        return NEEDS_PERSON if self._is_lost else DONE

    def open(self) -> None:
        """Open the incident, or join the one that is open there; the text is then a note."""
        alarm, name = self.alarm, self.alarm.environment.name
        at, severity = self.declared_at, alarm.severity
        declare = incidents.declare_or_join
        opened = self._write(
            lambda journal: declare(
                journal, self._who, self._new_id, name, alarm.text, at=at, severity=severity, typed=alarm.typed
            )
        )
        self.incident, self.joined = opened or (f"i{self._new_id()}", False)
        if not self.joined:
            return
        if severity is not None:
            more, own = {"severity": severity}, self.incident
            self._write(lambda journal: incidents.state(journal, self._who, own, name, OPEN, **more))
        if alarm.text or alarm.typed:
            self._record(NOTE, alarm.text or alarm.typed, {"typed": redact(alarm.typed)} if alarm.typed else {})

    def note(self, text: str, asked: str = "") -> bool:
        """Keep what was typed, at once; tell whether it was kept."""
        return self._record(NOTE, text, {"asked": asked} if asked else {})

    def read(self) -> None:
        """Read what is stored, as far as it can be read."""
        self._rows = []
        for event in self._journal.events():
            if event.type in (INCIDENT, ENTRY, LEDGER, REHEARSAL, REVIEW):
                self._rows.append(incidents.row_of(event))

    def _record(self, kind: str, text: str, more: Mapping[str, Any], at: float | None = None) -> bool:
        """Put a line on the timeline, and know of it; tell whether it is kept."""
        own = self.incident
        keep = self._write(lambda journal: incidents.record(journal, self._who, own, kind, text, more=more, at=at))
        if keep is not None:
            self._rows.append(incidents.row_of(keep))
        return keep is not None

    def _write(self, act: Callable[[Journal], Result]) -> Result | None:
        """Keep something, in the journal or aside; None where nothing takes it."""
        try:
            return act(self._journal)
        except BackoutError as error:
            self._is_lost = True
            self.blame(error)
            return None

    def blame(self, error: BackoutError) -> None:
        """Note what went wrong, to be said in the end."""
        if error.what not in [known.what for known in self.trouble]:
            self.trouble.append(error)

    def ask(self, calls: Calls) -> None:
        """Ask every host what it knows, and then how its checks are."""
        checks = [check._replace(within_s=min(check.within_s, LIMIT_S)) for check in self.alarm.environment.checks]
        limit_s = sum(check.within_s for check in checks) + _SLACK_S
        for host in self.said:
            calls.ask(host, GREETING, "hello")
            calls.ask(host, ENTRIES, "entries")
            calls.ask(host, ENFORCERS, "enforcers")
            if checks:
                rows = [check._asdict() for check in checks]
                calls.ask(host, CHECKS, "check", limit_s, checks=rows, where="before")

    def pause(self, calls: Calls, host: str) -> None:
        """Stop what would undo a fix on a host, as a change of its own, and look once more."""
        units = [row["unit"] for row in self.said[host].enforcers if row["unit"]]
        new, name = self._new_id(), self.alarm.environment.name
        body = {
            "release": __version__,
            "who": self._who,
            "why": f"so that it does not undo a fix; incident {self.incident}",
            "command": ["backout", "pause", *units],
            "environment": None if name == NO_ENVIRONMENT else name,
            "checks": [],
        }
        calls.ask(host, PAUSE, "pause", CHANGING_S, units=units, new=new, body=body)
        calls.ask(host, ENTRIES, "entries")
        calls.ask(host, ENFORCERS, "enforcers")

    def save(self, calls: Calls) -> list[str]:
        """Let the hosts save their state, and then the first one make the backups that are made at once.

        Gives the names of what is asked for.
        """
        environment = self.alarm.environment
        for host in self.said:
            wanted = {"watch": list(environment.watch), "services": list(environment.services)}
            limit_s = SAVES_S + LIMIT_S
            calls.ask(host, SAVE, "save_state", limit_s, incident=self.incident, within_s=SAVES_S, **wanted)
        known = self._made()
        at_once = [backup for backup in self.alarm.backups if self.said and self._is_due(backup, known)]
        return [SAVE, *(self._live(calls, BACKING_UP + one.name, one.run, one.within_s) for one in at_once)]

    def _is_due(self, backup: Backup, known: Mapping[str, Made]) -> bool:
        """Tell whether a backup is to be made now: those that are made at once, tried once in an incident."""
        made_at, failed = known[backup.name].made_at or 0.0, known[backup.name].failed
        return backup.at_panic and max(made_at, failed.at if failed else 0.0) < self.declared_at

    def untested(self) -> list[str]:
        """Name the backups that were made in this incident, and whose restore could be tested, and was not since."""
        known = self._made()
        return [
            backup.name
            for backup in self.alarm.backups
            if self.said and is_untested(backup, known[backup.name]) and not self._is_due(backup, known)
            if (known[backup.name].made_at or 0.0) >= self.declared_at
        ]

    def test_restore(self, calls: Calls, name: str) -> str:
        """Let the first host run the test of a backup's restore; gives the name of what is asked for."""
        backup = next(backup for backup in self.alarm.backups if backup.name == name)
        return self._live(calls, TESTING + name, backup.restore_test or "false", backup.within_s)

    def _live(self, calls: Calls, what: str, command: str, within_s: float) -> str:
        first = next(iter(self.said))
        calls.ask(first, what, "back_up", within_s + LIMIT_S, command=command, within_s=within_s)
        return what

    def hear(self, heard: Heard) -> None:
        """Take in what a host said; what is new is kept."""
        said = self.said[heard.host]
        if heard.error is not None and heard.what == PAUSE:
            self.blame(heard.error)
        elif heard.error is not None:
            self.said[heard.host] = said._replace(failed=said.failed or heard.error)
        elif heard.what == GREETING:
            self.said[heard.host] = said._replace(name=heard.answer["host"])
        elif heard.what == ENTRIES:
            self.said[heard.host] = said._replace(answered=True)
            self._ledger += heard.answer
            self._write(lambda journal: journal.learn(heard.answer))
        elif heard.what == ENFORCERS:
            self.said[heard.host] = said._replace(enforcers=tuple(heard.answer))
        elif heard.what == CHECKS:
            self._hear_checks(said.name or heard.host, heard.answer)
        elif heard.what == SAVE:
            self._hear_saved(heard.host, heard.answer)
        elif heard.what.startswith(BACKING_UP):
            self._hear_backup(heard.host, heard.what.removeprefix(BACKING_UP), heard.answer)
        elif heard.what.startswith(TESTING):
            self._hear_tested(heard.host, heard.what.removeprefix(TESTING), heard.answer)

    def _hear_checks(self, host: str, rows: Iterable[Mapping[str, str]]) -> None:
        """Take in how checks are now; what this incident does not know yet is a line of it."""
        known = {(seen.host, seen.name): seen.result for seen in self._of_incident()}
        for row in rows:
            seen = Observed(time.time(), host, row["name"], row["result"], row["output"])
            self._seen.append(seen)
            if seen.result in (HEALTHY, UNHEALTHY) and known.get((host, seen.name)) != seen.result:
                more = {"host": host, "name": seen.name, "result": seen.result, "output": redact(seen.output)}
                self._record(CHECK, f"{seen.name} is {seen.result}", more)

    def _hear_saved(self, host: str, told: dict[str, Any]) -> None:
        """Put on the timeline where a host's state is, when it was saved now."""
        self._saved[host] = told
        if not told["again"]:
            known = {"name": "state", "host": self.said[host].name or host, "exit_code": 0}
            more = {**known, "where": told["where"], "size_bytes": told["size_bytes"]}
            self._record(BACKUP, f"The state of {host} is saved in {told['where']}", more)

    def _hear_backup(self, host: str, name: str, told: dict[str, Any]) -> None:
        self._ran[name] = told["exit_code"]
        went = "is made" if told["exit_code"] == 0 else f"failed with exit code {told['exit_code']}"
        self._record_backup(host, name, f"Backup {name} {went}", told)

    def _hear_tested(self, host: str, name: str, told: dict[str, Any]) -> None:
        code = told["exit_code"]
        went = "can be restored" if code == 0 else f"could not be restored: its test failed with exit code {code}"
        self._record_backup(host, name + RESTORE, f"Backup {name} {went}", told)

    def _record_backup(self, host: str, name: str, text: str, told: Mapping[str, Any]) -> None:
        more = {"name": name, "host": self.said[host].name or host, **told}
        self._record(BACKUP, text, more, at=time.time() - told["duration_s"])

    def _of_incident(self) -> list[Observed]:
        incident = self._incidents().get(self.incident)
        return seen_by_lines(incident.entries) if incident is not None else []

    def _incidents(self) -> dict[str, Incident]:
        """Give what the rows tell, folded once for as many as there are: ten thousand notes take a while."""
        if self._folded[0] != len(self._rows):
            self._folded = len(self._rows), fold(self._rows)
        return self._folded[1]

    def document(self) -> dict[str, Any]:
        """Give the `backout.panic/1` document of what is known now."""
        folded, name = self._incidents(), self.alarm.environment.name
        entries = self._entries()
        lines = [line for incident in folded.values() if incident.environment == name for line in incident.entries]
        checks = health([*seen_by_ledgers(entries), *seen_by_lines(lines), *self._seen])
        changes = last_changes(entries)
        own = folded.get(self.incident) or self._unread()
        known = [entry.at for entry in entries] + [check.at for check in checks]
        as_of = instant(max(known)) if known else None
        self.declared_at = own.declared_at
        return {
            "schema": "backout.panic/1",
            "incident": _told(own),
            "joined": self.joined,
            "at": instant(time.time()),
            "as_of": as_of,
            "hosts": [_host(host, said) for host, said in self.said.items()],
            "changes": [self._changed(change) for change in changes[:MOST_CHANGES]],
            "more_changes": max(0, len(changes) - MOST_CHANGES),
            "checks": [self._check(check) for check in checks],
            "enforcers": self._enforcers(),
            "paused": self._paused(entries),
            "similar": self._similar(own, folded, checks),
            "ways": self._ways(changes, entries, lines),
            "audiences": self._audiences(own),
            "saved": [_saved(host, told) for host, told in self._saved.items()],
            "backups": self._backups(),
            "kept": self.kept,
            "trouble": [error.document() for error in self.trouble],
            "exit_code": self.exit_code,
        }

    def _entries(self) -> list[Any]:
        stored = [row.body for row in self._rows if row.type == LEDGER]
        return of_environment(entries_of([*stored, *self._ledger]), self.alarm.environment.name, self._names())

    def _names(self) -> set[str]:
        """Give what the hosts call themselves, as far as that is known."""
        names = {said.name for said in self.said.values() if said.name}
        return names | {os.uname().nodename} if LOCAL in self.said else names

    def _unread(self) -> Incident:
        """Give the incident as it was opened, where the journal does not tell of it."""
        text, severity = redact(self.alarm.text), self.alarm.severity or DEFAULT_SEVERITY
        name, at, clocks = self.alarm.environment.name, self.declared_at, {"declared": (self.declared_at,)}
        return Incident(self.incident, name, OPEN, text, severity, at, self._who, clocks, (), ())

    def _command(self, verb: str, *words: str) -> list[str]:
        return ["backout", verb, *self.alarm.option, *words]

    def _changed(self, change: Changed) -> dict[str, Any]:
        back = {STANDS: self._command("back", change.id), UNFINISHED: self._command("recover")}
        return {
            "id": change.id,
            "at": instant(change.at),
            "hosts": list(change.hosts),
            "who": change.who,
            "why": change.why,
            "command": list(change.command),
            "state": change.state,
            "back": back.get(change.state),
            "took": change.took._asdict() if change.took is not None and change.state == STANDS else None,
        }

    def _check(self, check: Health) -> dict[str, Any]:
        """Tell of a check, its host as the configuration names it where that is known."""
        names = {said.name: host for host, said in self.said.items()}
        return {
            "host": names.get(check.host, check.host),
            "name": check.name,
            "result": check.result,
            "since": instant(check.since),
            "at": instant(check.at),
            "output": check.output,
        }

    def _enforcers(self) -> list[dict[str, Any]]:
        return [
            {"host": host, **row, "pause": self._command("panic", "--pause") if row["unit"] else None}
            for host, said in self.said.items()
            for row in said.enforcers
        ]

    def _paused(self, entries: Iterable[Any]) -> list[dict[str, Any]]:
        """Tell what was paused, and what starts it again; a host as the configuration names it."""
        names = {said.name: host for host, said in self.said.items()}
        return [
            {
                "change": one.change,
                "host": names.get(one.host, one.host),
                "at": instant(one.at),
                "units": list(one.units),
                "start": self._command(*one.start()),
            }
            for one in paused(entries, self.alarm.environment.name, self._names())
        ]

    def _do(self, name: str, *words: str) -> list[str]:
        """Give the command that does something on the first host, and records it under a name."""
        return backups.do_there(self.alarm.environment.hosts, self.alarm.option, name, *words)

    def _similar(self, own: Incident, known: Mapping[str, Incident], checks: Iterable[Health]) -> list[dict[str, Any]]:
        """Give what looked like this before: by what was typed, else by what failing checks say.

        What they say now is not on the timeline that was read; what they said last time is no sign of this incident.
        """
        text = own.text or "\n".join(check.output for check in checks if check.result == UNHEALTHY)
        now = (Entry(0, one.at, one.at, one.host, CHECK, "", one._asdict()) for one in self._seen)
        return self._before.rows(own._replace(entries=(*own.entries, *now)), known, self._rows, text)

    def _ways(self, changes: Sequence[Changed], entries: list[Any], lines: Iterable[Entry]) -> list[dict[str, Any]]:
        """Give the known ways out, with how long they took: taking back what stands, and those measured last."""
        first = []
        if any(change.state == STANDS for change in changes):
            first.append(way_told("take back", self._command("back"), backs_took(entries)))
        hosts, names = self._names() | {*self.said}, {one.name for one in self.alarm.backups}
        names |= {name + RESTORE for name in names}
        scene = Scene(self.alarm.environment.name, hosts, entries, lines, self._rows, names)
        return first + ways(scene, self.alarm.config.commands, self._do, partial(self._command, "run"))

    def _backups(self) -> list[dict[str, Any]]:
        """Tell of each backup how it stands, whether it is made now, and what came of that."""
        now, known = time.time(), self._made()
        return [
            {
                **backups.told(backup, known[backup.name], now, self._do),
                "at_panic": backup.name in self._ran or self._is_due(backup, known),
                "exit_code": self._ran.get(backup.name),
            }
            for backup in self.alarm.backups
        ]

    def _made(self) -> dict[str, Made]:
        folded, name = self._incidents().values(), self.alarm.environment.name
        return backups.of_environment(self.alarm.backups, name, folded, self._rows, self._names() | {*self.said})

    def _audiences(self, own: Incident) -> list[dict[str, Any]]:
        """Tell who is owed a word, by when, the most urgent first."""
        names = {audience.key: audience.name for audience in self.alarm.audiences}
        return [
            {
                "audience": word.audience,
                "name": names[word.audience],
                "word": word.type,
                "due_at": instant(word.at),
                "command": self._command("tell"),
            }
            for word in due(own, self.alarm.audiences, time.time())
        ]


def _told(own: Incident) -> dict[str, Any]:
    names = ("id", "environment", "text", "severity", "by")
    return {**{name: getattr(own, name) for name in names}, "declared_at": instant(own.declared_at)}


def _saved(host: str, told: Mapping[str, Any]) -> dict[str, Any]:
    names = ("where", "files", "size_bytes", "left_out", "more_left_out", "again")
    return {"host": host, **{name: told[name] for name in names}}


def _host(host: str, said: Said) -> dict[str, Any]:
    error = None if said.failed is None else said.failed.document()
    return {"host": host, "name": said.name or None, "answered": said.answered, "error": error}


def of(those: Iterable[Named], environment: str) -> tuple[Named, ...]:
    """Give the audiences, or the backups, of an environment: those that name it, or none."""
    return tuple(each for each in those if not each.environments or environment in each.environments)
