"""The commands that look after the record, on an environment with several hosts. What fails on one is told by name."""

from __future__ import annotations

import contextlib
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from backout import bootstrap
from backout.cli.commands import _fleet
from backout.cli.reminding import owing
from backout.cli.screens import Console, put, put_json, screen, there
from backout.config.values import Environment
from backout.errors import BackoutError, InterruptedError
from backout.flow import backs, record, records
from backout.flow.back import Target
from backout.flow.back import pause as go_pause
from backout.flow.fleet import Fleet, exit_code
from backout.flow.session import Session
from backout.render import several as drawing


@contextlib.contextmanager
def _opened(options: Namespace, environment: Environment) -> Iterator[tuple[Fleet, Console]]:
    """Reach the hosts, and notice what a crash left half-way on them; what would build on that refuses by itself."""
    with _fleet(options, environment) as (fleet, console):
        asked = {} if options.verb in ("back", "recover") else fleet.each(lambda session: session.unfinished())
        for host, changes in asked.items():
            for change in [] if isinstance(changes, BackoutError) else changes:
                text = f"{host}: change {change} was left unfinished by a crash: backout recover\n"
                sys.stderr.write(there(text, options))
        yield fleet, console


def log(options: Namespace, environment: Environment) -> int:
    """`backout log`."""
    with _opened(options, environment) as (fleet, console):
        document, failed = records.log(fleet)
        console.done()
    _lead_there(options, failed.values())
    ids = list(dict.fromkeys(row["id"] for row in document["changes"]))[: options.last]
    document["changes"] = [row for row in document["changes"] if row["id"] in set(ids)]
    document.update(owing(options))
    if options.json:
        put_json(document, "changes")
    else:
        put(drawing.log(document, screen(options)))
    if failed:
        sys.stderr.write(drawing.failures(failed, screen(options, sys.stderr)))
    return exit_code(error.exit_code for error in failed.values())


def show(options: Namespace, environment: Environment) -> int:
    """`backout show`."""
    with _opened(options, environment) as (fleet, console):
        found = records.show(fleet, options.change)
        said = fleet.each(partial(record.output, change=options.change), _reached(found)) if options.output else {}
        console.done()
    _lead_there(options, found.values())
    rows = {host: shown if isinstance(shown, BackoutError) else _document(shown) for host, shown in found.items()}
    document = records.document(environment.name, rows, fleet.twins)
    if options.json:
        put_json(document, "hosts")
    else:
        put(drawing.show(found, said, screen(options)))
    return int(document["exit_code"])


def _reached(found: dict[str, Any]) -> list[str]:
    return [host for host, shown in found.items() if not isinstance(shown, BackoutError)]


def _document(shown: records.Shown) -> dict[str, Any]:
    row, effects = shown
    return effects or {"schema": "backout.changes/1", "changes": [row]}


def recover(options: Namespace, environment: Environment) -> int:
    """`backout recover`."""
    return _each(options, environment, record.recover, "recovered")


def gc(options: Namespace, environment: Environment) -> int:
    """`backout gc`."""
    collect = partial(record.gc, older_than_s=options.older_than, standing=options.standing, dry_run=options.dry_run)
    return _each(options, environment, collect, "gc")


def doctor(options: Namespace, environment: Environment) -> int:
    """`backout doctor`."""
    return _each(options, environment, record.doctor, "doctor")


def _each(options: Namespace, environment: Environment, act: Callable[[Session], dict[str, Any]], drawn: str) -> int:
    """Do the same on every host, finish it where it was begun, and tell of each."""
    with _opened(options, environment) as (fleet, console):
        console.step(f"asking {len(fleet.reached)} hosts")
        changes = options.verb != "doctor"  # what changes a host is finished, whoever presses Ctrl-C
        answers = fleet.everyone(fleet.each(act, interruptible=not changes))
        console.done()
        return _tell(options, records.document(environment.name, answers, fleet.twins), drawn)


def back(options: Namespace, environment: Environment) -> int:
    """`backout back`."""
    with _opened(options, environment) as (fleet, console):
        target = Target(options.change, options.until_healthy, options.edits, options.why)
        answers = backs.back(fleet, target)
        console.done()
        code = _tell(options, records.document(environment.name, answers, fleet.twins), "back")
        if fleet.stopped:
            error = InterruptedError("Interrupted.", state="What was begun is finished: see above.", next="backout log")
            error.shown = options.json
            raise error
        undone = [host for host, said in answers.items() if not isinstance(said, BackoutError) and said["undone"]]
        if undone and not (options.json and not options.pause):
            _offer_pause(options, fleet, undone, console)
    return code


def _offer_pause(options: Namespace, fleet: Fleet, hosts: list[str], console: Console) -> None:
    """Name what would apply the change again, by host, and pause it where that is wanted and possible."""
    asked = fleet.each(lambda session: session.link.ask("enforcers"), hosts)
    found = {host: rows for host, rows in asked.items() if not isinstance(rows, BackoutError) and rows}
    if not options.quiet and not options.json:
        for host, rows in found.items():
            named = ", ".join(f"{row['name']} ({row['how']})" for row in rows)
            sys.stderr.write(f"{host}: these may apply again what was taken back: {named}.\n")
    units = {host: [row["unit"] for row in rows if row["unit"]] for host, rows in found.items()}
    units = {host: names for host, names in units.items() if names}
    if not units or not (options.pause or console.ask(f"Pause them on {', '.join(units)}?")):
        return
    change = bootstrap.new_change_id()
    done = fleet.each(lambda session: go_pause(session, units[session.host], change), units, interruptible=False)
    failed = {host: error for host, error in done.items() if error is not None}
    _lead_there(options, failed.values())
    if failed:
        sys.stderr.write(drawing.failures(failed, screen(options, sys.stderr)))
    if len(failed) < len(units) and not options.json:
        sys.stderr.write(there(f"Paused as change {change}; backout back {change} starts them again.\n", options))


def _tell(options: Namespace, document: dict[str, Any], drawn: str) -> int:
    """Give the document of all hosts, as it is or drawn."""
    for row in document["hosts"]:
        told = [row["error"]] if row["error"] else (row["document"] or {}).get("reasons", [])
        for reason in told:
            reason["next"] = there(reason["next"], options)
    if options.json:
        put_json(document, "hosts")
    else:
        put(drawing.hosts(document, drawn, screen(options)))
    return int(document["exit_code"])


def _lead_there(options: Namespace, results: Any) -> None:
    for error in results:
        if isinstance(error, BackoutError):
            error.next = there(error.next, options)
