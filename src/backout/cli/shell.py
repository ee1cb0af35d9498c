"""`backout shell`: a subshell whose commands are lines of the timeline."""

from __future__ import annotations

import os
import platform
import sys
import time
from argparse import Namespace
from collections.abc import Iterable
from contextlib import closing, suppress

from backout import bootstrap
from backout.cli.person import who
from backout.cli.screens import screen
from backout.config.find import load
from backout.config.values import LOCAL, Config
from backout.errors import ConfigError, FailedError, NotPossibleError, UsageError
from backout.flow.incidents import standing
from backout.flow.shell import Due, Known, Outcome, Shell, record
from backout.flow.tell import reminder, retry_in_background
from backout.render import shell as drawn
from backout.store.aside import KeepingJournal

_HERE = "BACKOUT_SHELL"
"""The variable that names the terminal of a recorded shell, to what is started in it."""


def shell(options: Namespace) -> int:
    """`backout shell`."""
    _require_terminal(options)
    environment, host, become = (
        (None, LOCAL, None) if options.on is None else place(load(options.config), options.on, "shell")
    )
    name = platform.node() if host == LOCAL else host
    meant = Shell(str(who()), name, options.incident, environment)
    above = _Above(options)
    above.greet(meant)
    words = bootstrap.recorded_shell(host, become)
    try:
        outcome = record(meant, words, os.environ, bootstrap.keeping_journal, due=_due(options), above=above.draw)
    except OSError as error:
        raise NotPossibleError(f"{words[0]} cannot be started: {error.strerror}.", next="Install it.") from None
    _require_begun(outcome, host)
    above.conclude(outcome)
    return outcome.code


def place(config: Config, name: str, verb: str) -> tuple[str, str, str | None]:
    """Find the environment, the host and its way to root that a name means: an environment's, or one of its hosts'."""
    having = [environment for environment in config.environments if name in environment.hosts]
    named = [environment for environment in config.environments if environment.name == name]
    if not named and len(having) == 1:
        return having[0].name, name, having[0].become
    if not named and having:
        both = " and ".join(environment.name for environment in having)
        raise UsageError(f"{name} is a host of {both}.", next=f"backout {verb} -e {having[0].name}")
    environment = config.environment(name)
    if len(environment.hosts) > 1:
        raise UsageError(
            f"{name} has {len(environment.hosts)} hosts, {verb} works on one: {', '.join(environment.hosts)}.",
            next=f"backout {verb} -e {environment.hosts[0]}",
        )
    return environment.name, environment.hosts[0], environment.become


def _due(options: Namespace) -> Due:
    """Give what asks for the next word due; a configuration that cannot be read names nobody who waits for one."""
    try:
        config = load(options.config)
    except ConfigError:
        config = Config()

    def due(journal: KeepingJournal) -> str:
        now = time.time()
        retry_in_background(journal, config, now)
        return reminder(journal, config, now) or ""

    return due


def _require_terminal(options: Namespace) -> None:
    if options.json:
        raise UsageError("backout shell has no document: it is a terminal.", next="backout do --json -- CMD")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("backout shell needs a terminal.", next="backout do -- CMD records one command.")
    with suppress(OSError):
        if os.environ.get(_HERE) == os.ttyname(0):
            raise UsageError("This shell is recorded already.", next="exit ends it; then start another one.")


def _require_begun(outcome: Outcome, host: str) -> None:
    where = "This machine" if host == LOCAL else host
    if outcome.lacks:
        raise NotPossibleError(
            f"{where} has no {outcome.lacks}, which a recorded shell needs.",
            next=f"Install it there, or record single commands: backout do -e {host} -- CMD",
        )
    if not outcome.began:
        raise FailedError(
            f"{where}: the shell ended before it could be recorded (exit code {outcome.code}).",
            next="See what it says above." if host == LOCAL else f"See what it says above, and: ssh {host}",
        )


class _Above:
    """What is shown around the shell and above its prompts."""

    def __init__(self, options: Namespace) -> None:
        self._options = options
        self._told: set[str] = set()

    def greet(self, shell: Shell) -> None:
        """Say where the commands go, before the first prompt. An incident that is none is a UsageError."""
        with closing(bootstrap.keeping_journal()) as journal:
            found = standing(journal, shell.incident, shell.environment)
            sys.stderr.write(self._complaints(journal.complaints))
        if not self._options.quiet:
            where = f"on incident {found.id}" if found else "by themselves, since no incident is open"
            sys.stderr.write(f"The commands of this shell on {shell.host} are recorded {where}. exit ends it.\n")

    def draw(self, known: Known) -> str:
        """Draw what stands above a prompt."""
        lines = self._complaints(known.complaints)
        if known.incident is None:
            return lines
        name, environment, _, declared_at = known.incident
        return lines + drawn.above(environment, name, time.time() - declared_at, known.due, screen(self._options))

    def conclude(self, outcome: Outcome) -> None:
        """Say what was recorded, and what was not."""
        said = self._complaints(outcome.known.complaints)
        if outcome.lost:
            said += f"{_plural(outcome.lost)} could not be recorded.\n"
        if outcome.recorded and not self._options.quiet:
            said += f"{_plural(outcome.recorded)} recorded.\n"
        sys.stderr.write(said)

    def _complaints(self, complaints: Iterable[str]) -> str:
        """Say what went wrong, each once."""
        fresh = [complaint for complaint in complaints if complaint not in self._told]
        self._told.update(fresh)
        return "".join(screen(self._options).visible(f"backout shell: {complaint}") + "\n" for complaint in fresh)


def _plural(number: int) -> str:
    return "1 command" if number == 1 else f"{number} commands"
