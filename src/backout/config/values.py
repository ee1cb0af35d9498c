"""What backout.toml says, as frozen values."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from backout.config.nearest import did_you_mean
from backout.errors import ConfigError, UsageError
from backout.model.check import Check
from backout.model.mail import Mail
from backout.model.rollout import Pace
from backout.model.selector import Rule, Selector

if TYPE_CHECKING:
    from backout.model.guard import Guard  # only where there are guards is it imported: every command reads its config

LOCAL = "local"
"""The host that is this machine."""

NETWORKS = ("none", "packages", "host")
"""What a rehearsal may reach: nothing, the package indexes, everything that the host reaches."""


class Environment(NamedTuple):
    """A named set of hosts with what should hold there.

    `network` is None where the file does not say, so that a command's own choice and the default stay visible.
    """

    name: str
    hosts: tuple[str, ...]
    become: str | None = None
    same_as: str | None = None
    watch: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    network: str | None = None
    network_allow: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    differs: tuple[Rule, ...] = ()
    pace: Pace = Pace()


class Command(NamedTuple):
    """A named command: `backout run NAME`. `run` is for `sh -c`; without `timeout_s` it takes as long as it takes."""

    name: str
    run: str
    ok_exit: tuple[int, ...] = (0,)
    expect: tuple[Selector, ...] = ()
    network: str | None = None
    timeout_s: float | None = None


class Audience(NamedTuple):
    """Who is told of an incident, where, and how often: the first word within `first_s`, then one every `every_s`.

    `environments` are those whose incidents it is told of, all where none is named; `checks` those that tell whether
    it is down. `name` is how a letter addresses it.
    """

    key: str
    to: tuple[str, ...]
    name: str = ""
    first_s: float = 300.0
    every_s: float = 1800.0
    checks: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    zone: str = ""


class Backup(NamedTuple):
    """A backup that an incident may want: made by `run` on the environment's first host, proven by `restore_test`."""

    name: str
    run: str
    environments: tuple[str, ...] = ()
    restore_test: str | None = None
    max_age_s: float | None = None
    at_panic: bool = False
    within_s: float = 600.0


class Config(NamedTuple):
    """One backout.toml; `path` is None where there is none, which is as good as an empty one."""

    path: str | None = None
    environments: tuple[Environment, ...] = ()
    commands: tuple[Command, ...] = ()
    guards: tuple[Guard, ...] = ()
    audiences: tuple[Audience, ...] = ()
    mail: Mail = Mail()
    backups: tuple[Backup, ...] = ()
    folders: tuple[str, ...] = ()
    """Folders of notes that are searched besides the journal, as they are written."""
    cooling_off_s: float = 43200.0
    """How long after an incident was resolved its review opens."""

    @property
    def folder(self) -> str:
        """Give the folder of the file, or without one the working folder."""
        return os.path.dirname(os.path.abspath(self.path or "backout.toml"))

    def environment(self, name: str) -> Environment:
        """Give the environment of that name; another name is a UsageError that says which there are."""
        return self._named("environment", self.environments, name)

    def known_environment(self, name: str | None) -> Environment | None:
        """Give the environment of that name; None where the file names none such."""
        return next((environment for environment in self.environments if environment.name == name), None)

    def command(self, name: str, verb: str = "run") -> Command:
        """Give the command of that name; another name is a UsageError that says which there are, and what `--` does."""
        line = f"A command line stands after --: backout {verb} -- {shlex.quote(name)}"
        return self._named("command", self.commands, name, line)

    def local_environment(self) -> Environment | None:
        """Give the environment that lists this machine, None where none does; two are a ConfigError."""
        local = [environment for environment in self.environments if LOCAL in environment.hosts]
        if len(local) > 1:
            names = ", ".join(environment.name for environment in local)
            raise ConfigError(
                f"{self.path}: more than one environment lists this machine: {names}.", next="Say which one with -e."
            )
        return local[0] if local else None

    def _named(self, noun: str, values: tuple[Named, ...], name: str, otherwise: str = "") -> Named:
        for value in values:
            if value.name == name:
                return value
        where = self.path or "There is no backout.toml, so it"
        near = did_you_mean(name, tuple(value.name for value in values))
        first = f"Add one to {self.path}." if self.path else "backout init writes one."
        raise UsageError(f"{where} names no {noun} {name!r}.", next=" ".join(filter(None, (near, otherwise))) or first)


Named = TypeVar("Named", Environment, Command)
