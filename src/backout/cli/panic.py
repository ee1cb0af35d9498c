"""`backout panic`: the first screen before anything else is tried; then hosts, questions, and what is to be said."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from backout import bootstrap
from backout.cli.lenient import Heard, NoValueError, Reads, flag, one, pick
from backout.cli.person import who
from backout.cli.reminding import remind
from backout.cli.screens import put, put_json
from backout.config.find import load
from backout.config.nearest import did_you_mean
from backout.config.values import LOCAL, Config, Environment
from backout.errors import BackoutError
from backout.flow.calls import LIMIT_S
from backout.flow.incidents import NO_ENVIRONMENT
from backout.flow.panic import CHECKS, ENFORCERS, ENTRIES, GREETING, PAUSE, QUESTIONS, Alarm, Panic, of
from backout.render.panic import Drawing
from backout.render.screen import screen_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backout.flow.calls import Calls, End
    from backout.link.local import Child
    from backout.link.wire import Link
    from backout.store.aside import KeepingJournal


def _severity(words: Sequence[str]) -> tuple[int, int]:
    """Read a severity; another number was meant as one, and is no text."""
    if words and words[0] in ("1", "2", "3"):
        return int(words[0]), 1
    raise NoValueError("1, 2 or 3", 1 if words and words[0].isdecimal() else 0)


def _value(words: Sequence[str]) -> tuple[str, int]:
    """Read the next word; an option is no value, nor is an empty word, as of a variable that is not set."""
    value, count = one(words)
    if not value.strip() or value.startswith("-"):
        raise ValueError("a value")
    return value, count


_INTERRUPTED = 130
_SLACK_S = 0.5


def panic(words: Sequence[str]) -> int:
    """Run `backout panic` with these words, taken as they come; gives the exit code."""
    remarks: list[str] = []
    config = _config(_heard(words, ()), remarks)
    heard = _heard(words, [environment.name for environment in config.environments])
    if "--help" in heard.options:
        from backout.cli.parser import parse

        parse(["panic", "--help"])
    remarks = [*heard.complaints, *remarks]
    journal = bootstrap.keeping_journal()
    typed = " ".join(words) if heard.complaints else ""
    panicked = Panic(journal, str(who()), bootstrap.new_change_id, _alarm(heard, config, remarks)._replace(typed=typed))
    desk = _Desk(heard, panicked, journal, remarks)
    try:
        return desk.work(config)
    except KeyboardInterrupt:
        return desk.interrupted()
    finally:
        journal.close()


def _heard(words: Sequence[str], environments: Sequence[str]) -> Heard:
    """Read what was typed; behind words of the text, `-e` names an environment that there is, or ends the line."""

    def environment(words: Sequence[str]) -> tuple[str, int]:
        value, count = _value(words)
        is_last = not words[1:] or words[1].startswith("-")
        if not is_last and value not in environments:
            raise ValueError("the name of an environment")
        return value, count

    flags = dict.fromkeys(("--json", "--quiet", "--no-color", "--help", "--pause"), flag)
    always: dict[str, Reads] = {**flags, "--config": _value, "--severity": _severity}
    early = {**always, "--environment": _value, "-e": _value, "-q": flag, "-h": flag}
    heard = pick(words, early, {**always, "--environment": environment, "-e": environment})
    long = {"-e": "--environment", "-q": "--quiet", "-h": "--help"}
    return heard._replace(options={long.get(name, name): value for name, value in heard.options.items()})


def _config(heard: Heard, remarks: list[str]) -> Config:
    """Read backout.toml; one that cannot be read is as good as none, and is told of in the end."""
    try:
        config = load(heard.options.get("--config"))
    except BackoutError as error:
        remarks.append(f"{error.what} {error.next}".strip())
        return Config()
    if config.path is None:
        remarks.append("There is no backout.toml here or above: nothing is known of hosts, checks and clients.")
    return config


def _alarm(heard: Heard, config: Config, remarks: list[str]) -> Alarm:
    environment, option = _environment(heard.options.get("--environment"), config, remarks)
    audiences, backups = of(config.audiences, environment.name), of(config.backups, environment.name)
    text, severity = " ".join(heard.text), heard.options.get("--severity")
    return Alarm(environment, option, text, severity, audiences, backups, config)


def _environment(name: str | None, config: Config, remarks: list[str]) -> tuple[Environment, tuple[str, ...]]:
    """Give the environment that is meant, and what names it in commands; a misspelt name is the nearest one."""
    here = [environment for environment in config.environments if LOCAL in environment.hosts]
    if name is None and not here and len(config.environments) == 1:
        name = config.environments[0].name
    if name is None:
        others = [environment.name for environment in config.environments if environment not in here[:1]]
        if others and not here:
            remarks.append(f"This is about this machine. For another: backout panic -e {others[0]}")
        return here[0] if here else Environment(NO_ENVIRONMENT, (LOCAL,)), ()
    known = {environment.name: environment for environment in config.environments}
    if name not in known:
        near = did_you_mean(name, tuple(known))
        meant = near.removeprefix('Did you mean "').removesuffix('"?')
        if meant not in known:
            remarks.append(f"No environment {name!r} is configured, so no host of it is asked. {near}".strip())
            return Environment(name, ()), ("-e", name)
        remarks.append(f"No environment {name!r} is configured: it was taken as {meant!r}.")
        name = meant
    return known[name], ("-e", name)


class _Desk:
    """One panic at one terminal."""

    def __init__(self, heard: Heard, panic: Panic, journal: KeepingJournal, remarks: list[str]) -> None:
        """Know what was typed; `remarks` are what is to be said of the words."""
        self._panic, self._journal, self._remarks = panic, journal, remarks
        self._calls: Calls | None = None
        self._drawn: dict[str, Any] = {}
        self._is_json, self._pauses = "--json" in heard.options, "--pause" in heard.options
        self._screen = screen_of(sys.stdout, os.environ, color="--no-color" not in heard.options)
        self._can_ask = not self._is_json and sys.stdin.isatty() and sys.stderr.isatty()

    def work(self, config: Config) -> int:
        """Show, ask, end with what is owed to whom, and give the exit code."""
        one = self._panic
        one.open()
        one.read()
        self._drawn = one.document()
        self._put(lambda drawing: drawing.first(self._drawn), self._drawn["at"])
        try:
            self._ask_hosts()
            self._hear(GREETING, ENTRIES, ENFORCERS, within_s=LIMIT_S + _SLACK_S)
            self._hear(CHECKS, within_s=LIMIT_S if self._can_ask else None)
            self._offer_pause()
            saving = self._save()
            self._questions()
            self._wait(GREETING, ENTRIES, ENFORCERS, CHECKS, PAUSE, *saving)
            self._offer_tests()
        finally:
            if self._calls is not None:
                self._calls.close()
        code = self._end()
        remind(self._journal, config, silent=self._is_json)
        return code

    def interrupted(self) -> int:
        """Say what stands after Ctrl-C."""
        one = self._panic
        kept = "and what you answered is kept" if one.kept != "nowhere" else "but nothing of it could be kept"
        sys.stderr.write(f"\nInterrupted. Incident {one.incident} stays open, {kept}: backout panic shows it again.\n")
        return _INTERRUPTED

    def _put(self, draw: Callable[[Drawing], str], now: str) -> None:
        if not self._is_json:
            put(draw(Drawing(self._screen, now)))

    def _ask_hosts(self) -> None:
        """Ask the hosts; this machine's half begins before there are threads."""
        from backout.flow.calls import Calls  # after the first screen

        begun = None
        if LOCAL in self._panic.said and sys.platform == "linux":
            begun = bootstrap.begin()
        self._calls = Calls(self._panic.said, _opening(begun, self._panic.alarm.environment.become))
        self._panic.ask(self._calls)

    def _hear(self, *what: str, within_s: float | None = None) -> None:
        """Take in what is said, until all that is named was said or the time is over; draw it as it comes."""
        if self._calls is not None:
            for heard in self._calls.hear(*what, within_s=within_s):
                self._panic.hear(heard)
                before, self._drawn = self._drawn, self._panic.document()
                self._put(partial(Drawing.news, document=self._drawn, before=before), self._drawn["at"])

    def _offer_pause(self) -> None:
        """Pause what would undo a fix where that is wanted, host by host; at a terminal, offer to."""
        if self._calls is None or not (self._can_ask or self._pauses):
            return
        for host, said in self._panic.said.items():
            units = [row["unit"] for row in said.enforcers if row["unit"]]
            if units and (self._pauses or _is_yes(self._answer(f"Pause {', '.join(units)} on {host}? [y/N]"))):
                self._panic.pause(self._calls, host)

    def _save(self) -> list[str]:
        """Let state be saved while the questions are asked; gives what is then to be waited for."""
        return [] if self._calls is None else self._panic.save(self._calls)

    def _offer_tests(self) -> None:
        """Offer to test whether what was backed up in this incident can be restored: one that cannot is none."""
        if not self._can_ask or self._calls is None:
            return
        for name in self._panic.untested():
            if _is_yes(self._answer(f"Test now that backup {name} can be restored? [y/N]")):
                self._wait(self._panic.test_restore(self._calls, name))

    def _wait(self, *what: str) -> None:
        """Wait for the rest, and say so: whoever cannot wait ends it, and the incident stays open."""
        hosts = [] if self._calls is None else self._calls.waits_for(*what)
        if hosts and self._can_ask:
            sys.stderr.write(f"Waiting for {', '.join(hosts)}; Ctrl-C ends that.\n")
        self._hear(*what)

    def _answer(self, question: str) -> str | None:
        """Ask on the terminal; None when nobody will answer any more."""
        sys.stderr.write(f"{question} ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            sys.stderr.write("\n")
        return line.strip() if line else None

    def _questions(self) -> None:
        if not self._can_ask:
            return
        sys.stderr.write("Three questions; Enter skips one.\n")
        for asked, question in QUESTIONS.items():
            answer = self._answer(question)
            if answer is None:
                return
            if answer and not self._panic.note(answer, asked):
                sys.stderr.write("That could not be kept: write it down.\n")
            self._hear(within_s=0)

    def _end(self) -> int:
        one = self._panic
        remarks = [*self._remarks, *self._journal.complaints]
        document = {**one.document(), "remarks": remarks}
        if self._is_json:
            put_json(document, "changes")
            return one.exit_code
        for remark in remarks:
            sys.stderr.write(self._screen.visible(remark) + "\n")
        for error in one.trouble:
            told = " ".join(f"{error.what} {error.state} {error.next}".split())  # the manager's words may be many lines
            sys.stderr.write(self._screen.visible(told) + "\n")
        if self._can_ask and not one.exit_code:
            on = " ".join(("", *one.alarm.option))
            sys.stderr.write(f"It stays open until backout calm{on}; add to it with backout note{on} TEXT.\n")
        if one.exit_code:
            sys.stderr.write("No incident could be recorded. Write down what you do, and when.\n")
        return one.exit_code


def _is_yes(answer: str | None) -> bool:
    return (answer or "").lower() in ("y", "yes")


def _opening(begun: Child | None, become: str | None) -> Callable[..., contextlib.AbstractContextManager[Link]]:
    """Give what reaches a host: this machine's half has begun."""

    def silent(kind: str, text: str, data: bytes) -> None:
        """Show nothing: a screen is being read."""

    @contextlib.contextmanager
    def opened(host: str, on_the_way: Callable[[End], None]) -> Iterator[Link]:
        here = begun if host == LOCAL else None
        if here is not None:
            on_the_way(here.kill)
        with bootstrap.link_to(host, become, silent, here, on_the_way) as link:
            yield link

    return opened
