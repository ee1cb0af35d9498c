"""Services, timers, and the environment of the services that are named: as the service manager has them."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from backout.host import services
from backout.host.facts.looking import Looking
from backout.model.fact import Fact
from backout.model.redact import redact_value
from backout.model.service import ServiceState

_TYPES = ("service", "socket", "path", "timer")
_PROPERTIES = (
    *("Id", "LoadState", "ActiveState", "UnitFileState", "MainPID", "Environment"),
    *("Unit", "TimersCalendar", "TimersMonotonic"),
)
_PASSING = re.compile(r"(?:user@|user-runtime-dir@|run-|session-|systemd-fsck@|modprobe@|systemd-coredump@).*")
"""Units that come and go with logins, mounts and module loads."""
_OF_A_START = re.compile(
    r"INVOCATION_ID|JOURNAL_STREAM|NOTIFY_SOCKET|LISTEN_\w+|WATCHDOG_\w+|SYSTEMD_EXEC_PID|MEMORY_PRESSURE_\w+"
    r"|MAINPID|MANAGERPID|CREDENTIALS_DIRECTORY|TRIGGER_\w+|FDSTORE"
)
"""What systemd sets anew with each start (systemd.exec(5))."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


class Units(NamedTuple):
    """What the manager says: the properties of loaded units, and the unit files that are there."""

    loaded: dict[str, dict[str, str]]
    files: dict[str, str]


def units(looking: Looking) -> Units:
    """Ask the manager once for all that is told of units."""
    if services.manager() != services.SYSTEMD:
        return Units({}, {})
    rows = services.described(_PROPERTIES, [f"*.{kind}" for kind in _TYPES])
    loaded = {row["Id"]: row for row in rows if row.get("Id")}
    if not loaded:
        looking.limit("systemd did not answer: services and timers cannot be told.")
    return Units(loaded, services.installed(_TYPES))


def states(looking: Looking, found: Units) -> Iterator[Fact]:
    """Tell whether each service, socket and path starts at boot, and whether it runs now."""
    kind = services.manager()
    known: dict[str, ServiceState] = {}
    if kind == services.SYSV:
        known = services.states(services.scripts())
    elif kind == services.NONE:
        looking.limit("There is no service manager here: services cannot be told.")
    for unit, word in found.files.items():
        if word != "alias":
            known[unit] = services.state_of({"UnitFileState": word, "ActiveState": "inactive"})
    for unit, properties in found.loaded.items():
        if properties.get("LoadState") != "not-found":
            known[unit] = services.state_of(properties)
    for unit, state in known.items():
        if not unit.endswith(".timer") and not _PASSING.match(unit):
            yield Fact("service", unit, state._asdict())


def timers(looking: Looking, found: Units) -> Iterator[Fact]:
    """Tell what each loaded timer starts, and when (systemd.timer(5))."""
    del looking
    for unit, properties in found.loaded.items():
        if unit.endswith(".timer") and properties.get("LoadState") != "not-found" and not _PASSING.match(unit):
            yield Fact("timer", unit, timer_value(properties))


def timer_value(properties: dict[str, str]) -> dict[str, object]:
    """Read a timer's properties: `{starts, when, active}`, without what changes with each run."""
    lines = [*properties.get("TimersCalendar", "").splitlines(), *properties.get("TimersMonotonic", "").splitlines()]
    when = [line.strip("{ }").partition(";")[0].strip() for line in lines]
    return {
        "starts": properties.get("Unit", ""),
        "when": sorted(filter(None, when)),
        "active": properties.get("ActiveState") == "active",
    }


def variables(looking: Looking, found: Units) -> Iterator[Fact]:
    """Tell the environment of the named services: of the process that runs; else what the unit would give it."""
    for unit in looking.services:
        properties = found.loaded.get(unit, {})
        pid = properties.get("MainPID", "0") if found.loaded else _noted_pid(looking, unit)
        content = looking.read(f"/proc/{pid}/environ") if pid.isdigit() and int(pid) else None
        if content is None:
            looking.limit(f"{unit}: no environment of a running process could be read; the unit's own is told.")
            content = "\0".join(_words(properties.get("Environment", ""))).encode(errors="surrogateescape")
        for name, value in sorted(environment(content).items()):
            yield Fact("variable", f"{unit}#{name}", value)


def environment(content: bytes) -> dict[str, str]:
    """Read NAME=VALUE, each ended by a NUL; what each start sets anew is left out, secrets are masked."""
    pairs = (os.fsdecode(entry).partition("=") for entry in content.split(b"\0"))
    return {
        name: redact_value(name, value)
        for name, equals, value in pairs
        if equals and _NAME.fullmatch(name) and not _OF_A_START.fullmatch(name)
    }


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return []


def _noted_pid(looking: Looking, unit: str) -> str:
    """Give the process of a service without systemd, by the file that init scripts keep (LSB, "pidofproc")."""
    name = unit.rpartition(".")[0]
    for path in (f"/run/{name}.pid", f"/run/{name}/{name}.pid"):
        words = (looking.read(path) or b"").split()
        if words and words[0].isdigit():
            return os.fsdecode(words[0])
    return "0"
