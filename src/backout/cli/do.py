"""`backout do`: the command runs as it would without us, and is a line of the timeline."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from backout import bootstrap
from backout.cli.note import minutes
from backout.cli.person import person
from backout.cli.screens import error_text, put_json
from backout.cli.shell import place
from backout.config.find import load
from backout.config.values import LOCAL
from backout.errors import BackoutError, UsageError
from backout.flow.do import End, Ran, argv, record_command
from backout.flow.incidents import Standing, standing
from backout.flow.instant import instant
from backout.store.aside import NUMBERED_FROM
from backout.store.journal import Event

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_UNKNOWN_FOLDER = "~"
"""Where a command runs on a host: in its login's home."""


def do(options: Namespace) -> int:
    """`backout do`."""
    if not options.command:
        raise UsageError("There is no command to run.", next="backout do -- CMD…")
    environment, host, become = (None, LOCAL, None)
    if options.on is not None:
        environment, host, become = place(load(options.config), options.on, "do")
    with closing(bootstrap.keeping_journal()) as journal:
        meant = standing(journal, options.incident, environment)
    has_terminal = not options.json and all(os.isatty(number) for number in (0, 1, 2))
    words = bootstrap.command_at(host, become, argv(options.command), terminal=has_terminal)
    with _unstopped():
        ran = _run(options, words, host, has_terminal=has_terminal)
        _record(options, meant, ran)
    return ran.exit_code


def _run(options: Namespace, words: list[str], host: str, *, has_terminal: bool) -> Ran:
    from backout.terminal.passing import pass_on
    from backout.terminal.plain import plain
    from backout.terminal.relay import relay

    end, at, since = End(), time.time(), time.monotonic()
    sys.stdout.flush()
    try:
        if has_terminal:
            code = relay(words, os.environ, end.take)
        else:
            code = pass_on(words, os.environ, end.take, (2, 2) if options.json else (1, 2))
    except OSError as error:
        code = _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
        sys.stderr.buffer.write(os.fsencode(f"backout: {words[0]}: {error.strerror}\n"))
        end.take(os.fsencode(f"{words[0]}: {error.strerror}\n"))
    output = plain(bytes(end)).encode(errors="surrogateescape") if has_terminal else bytes(end)
    return Ran(
        words=options.command,
        cwd=os.getcwd() if host == LOCAL else _UNKNOWN_FOLDER,
        host=platform.node() if host == LOCAL else host,
        at=at,
        duration_s=time.monotonic() - since,
        exit_code=code,
        output=output,
        is_cut=end.is_cut,
        telling=end.telling,
        name=options.way,
    )


def _record(options: Namespace, meant: Standing | None, ran: Ran) -> None:
    """Record it; what goes wrong with that is said, and nothing else becomes of it."""
    event, complaints = None, list[str]()
    try:
        with closing(bootstrap.keeping_journal()) as journal:
            event = record_command(journal, person(), meant and meant.id, ran)
        complaints = journal.complaints
    except BackoutError as error:
        complaints = [error.what]
        if not options.json:
            sys.stderr.write(f"The command has run; it is not recorded.\n{error_text(error)}")
    if options.json:
        put_json(_document(meant, ran, event, complaints))
    elif event is not None:
        for complaint in complaints:
            sys.stderr.buffer.write(f"backout do: {complaint}\n".encode("utf-8", "backslashreplace"))
        if sys.stderr.isatty() and not options.quiet:
            sys.stderr.write(_line(meant, event, ran))


def _line(meant: Standing | None, event: Event, ran: Ran) -> str:
    number = str(event.seq) if event.seq < NUMBERED_FROM else "aside"
    where = f"{meant.id} {meant.environment}, {minutes(meant)} min" if meant else "by itself: no incident is open"
    return f"{number}  {where}: exit code {ran.exit_code} after {ran.duration_s:.0f} s\n"


def _document(meant: Standing | None, ran: Ran, event: Event | None, complaints: list[str]) -> dict[str, Any]:
    body = event.body if event is not None else {}
    return {
        "schema": "backout.do/1",
        "number": event.seq if event is not None and event.seq < NUMBERED_FROM else None,
        "incident": meant and meant.id,
        "environment": meant and meant.environment,
        "host": ran.host,
        "command": body.get("command", []),
        "cwd": ran.cwd,
        "as": body.get("as"),
        "at": instant(ran.at),
        "duration_s": round(ran.duration_s, 3),
        "exit_code": ran.exit_code,
        "output": body.get("output"),
        "is_cut": body.get("is_cut", False),
        "tail": body.get("tail", ""),
        "complaints": complaints,
    }


@contextlib.contextmanager
def _unstopped() -> Iterator[None]:
    """Let no signal end us before what was run is recorded: the command hears them, and when it has ended, we do."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
