"""A look at this host: every kind of fact, in the order of documents, and beside them what could not be told."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from typing import Any, Callable

from backout.host.facts.looking import BELIEVED, Looking
from backout.model.fact import KINDS, Fact


class Sources:
    """Where the facts of each kind come from; what serves several kinds is read once, and only when it is asked for."""

    def __init__(self, looking: Looking) -> None:
        self.looking = looking

    @cached_property
    def ground(self) -> Any:
        """What is mounted."""
        from backout.host.facts import ground

        return ground.ground()

    @cached_property
    def units(self) -> Any:
        """What the service manager says."""
        from backout.host.facts import units

        return units.units(self.looking)

    @cached_property
    def environments(self) -> Any:
        """Every Python environment."""
        from backout.host.facts import environments

        return environments.survey(self.looking, self.ground)

    @cached_property
    def contents(self) -> dict[str, list[Fact]]:
        """What is in the files under `watch`, by kind."""
        if not self.looking.watch:
            return {"config": [], "certificate": []}
        from backout.host.facts import watched

        return watched.contents(self.looking, self.ground)

    def of(self, kind: str) -> Iterable[Fact]:
        """Give the facts of one kind, sorted, each subject once."""
        facts = _SOURCES[kind](self)
        return facts if kind == "file" else _once(sorted(facts, key=lambda fact: fact.subject.split("/")))


def _once(facts: Iterable[Fact]) -> Iterator[Fact]:
    """Leave out a subject that was just told."""
    before = None
    for fact in facts:
        if before is None or fact.subject != before.subject:
            yield fact
        before = fact


def _system(name: str) -> Callable[[Sources], Iterable[Fact]]:
    def facts(sources: Sources) -> Iterable[Fact]:
        from backout.host.facts import system

        found: Iterable[Fact] = getattr(system, name)(sources.looking)
        return found

    return facts


def _accounts(name: str) -> Callable[[Sources], Iterable[Fact]]:
    def facts(sources: Sources) -> Iterable[Fact]:
        from backout.host.facts import accounts

        found: Iterable[Fact] = getattr(accounts, name)(sources.looking)
        return found

    return facts


def _units(name: str) -> Callable[[Sources], Iterable[Fact]]:
    def facts(sources: Sources) -> Iterable[Fact]:
        from backout.host.facts import units

        found: Iterable[Fact] = getattr(units, name)(sources.looking, sources.units)
        return found

    return facts


def _debian(sources: Sources) -> Iterable[Fact]:
    from backout.host.facts import packages

    return packages.debian(sources.looking)


def _pythons(sources: Sources) -> Iterable[Fact]:
    return (Fact("python", one.prefix, one.version) for one in sources.environments)


def _python_packages(sources: Sources) -> Iterable[Fact]:
    return (
        Fact("python-package", f"{one.prefix}:{name}", version)
        for one in sources.environments
        for name, version in one.packages.items()
    )


def _ports(sources: Sources) -> Iterable[Fact]:
    from backout.host.facts import ports

    return ports.listening(sources.looking)


def _certificates(sources: Sources) -> Iterable[Fact]:
    from backout.host.facts import certificates

    return (*certificates.usual(sources.looking), *sources.contents["certificate"])


def _sysctl(sources: Sources) -> Iterable[Fact]:
    from backout.host.facts import settings

    return settings.sysctl(sources.looking)


def _mounts(sources: Sources) -> Iterable[Fact]:
    from backout.host.facts import settings

    return settings.mounted(sources.looking, sources.ground)


def _configs(sources: Sources) -> Iterable[Fact]:
    return sources.contents["config"]


def _files(sources: Sources) -> Iterable[Fact]:
    """Give watched files, and those that are not what RECORD says; where a path is both, what the watch says of it."""
    from backout.host.facts import watched

    odd = sorted((fact for one in sources.environments for fact in one.odd), key=lambda fact: fact.key)
    watching = watched.files(sources.looking, sources.ground)
    return _once(heapq.merge(watching, odd, key=lambda fact: fact.key))


_SOURCES: dict[str, Callable[[Sources], Iterable[Fact]]] = {
    "os": _system("release"),
    "kernel": _system("kernel"),
    "timezone": _system("timezone"),
    "locale": _system("locale"),
    "debian-package": _debian,
    "python": _pythons,
    "python-package": _python_packages,
    "service": _units("states"),
    "variable": _units("variables"),
    "timer": _units("timers"),
    "cron": _accounts("cron_lines"),
    "port": _ports,
    "certificate": _certificates,
    "user": _accounts("users"),
    "group": _accounts("groups"),
    "sysctl": _sysctl,
    "mount": _mounts,
    "config": _configs,
    "file": _files,
}


def facts(looking: Looking, kinds: Collection[str] | None, counts: dict[str, int]) -> Iterator[Fact]:
    """Give all facts of the kinds that are wanted (of all), in their order; `counts` are made on the way."""
    sources = Sources(looking)
    for kind in KINDS:
        if kinds is None or kind in kinds:
            for fact in sources.of(kind):
                counts[kind] = counts.get(kind, 0) + 1
                yield fact


def reply(looking: Looking, took_s: float, counts: dict[str, int]) -> dict[str, Any]:
    """Give what is told beside the facts; `took_s` is how long the look took, `at` when it began."""
    tally = {"seen": looking.seen, "hashed": looking.hashed, "known": looking.known, "how": BELIEVED}
    limits = looking.all_limits()
    return {"at": looking.began_ns / 1e9, "took_s": took_s, "counts": counts, "files": tally, "limits": limits}
