"""`[[guards]]`: each row to a value; what contradicts itself there is an error with its place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from backout.config.nearest import did_you_mean
from backout.config.place import Path
from backout.config.table import Source, Table, found
from backout.errors import ConfigError
from backout.model import convert, rules
from backout.model.convert import WantedError
from backout.model.guard import Guard
from backout.model.rules import window

GUARD_KEYS = ("name", "rule", "why", "environments", "says", "owner", "review_by", "incident", "override")
"""The keys of every guard; those of its rule stand beside them."""
WINDOW = "window"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SEASONS = (datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 7, 15, tzinfo=UTC))
"""A moment in winter and one in summer: where clocks are changed, zones are apart in one way or the other."""

Placed = list[tuple[Guard, Path]]


def guards(source: Source, rows: Iterator[tuple[object, Path]], environments: Sequence[str]) -> tuple[Guard, ...]:
    """Read all guards. Two of one name, and windows that leave no minute of the week, are errors, too."""
    placed: Placed = [(_guard(source, values, path, environments), path) for values, path in rows]
    of_rule = Counter(guard.rule for guard, _ in placed)
    named: Placed = []
    for guard, path in placed:
        if not guard.name and of_rule[guard.rule] > 1:
            count = of_rule[guard.rule]
            problem = f'needs the key "name": {count} guards have the rule "{guard.rule}".'
            raise source.error(path, problem, f'Write there: name = "{guard.rule}", as it was called until now.')
        name = guard.name or guard.rule
        if name in (other.name for other, _ in named):
            raise source.error(path, f'is the second guard named "{name}"; a name must be unique.')
        named.append((guard._replace(name=name), path))
    _require_open_windows(source, [row for row in named if row[0].rule == WINDOW], environments)
    return tuple(guard for guard, _ in named)


def zone_of(name: str) -> tzinfo:
    """Give a time zone by its name; a ZoneInfoNotFoundError where this machine knows none of that name."""
    try:
        return UTC if name == window.UTC else ZoneInfo(name)
    except (ValueError, OSError):  # no name of a zone at all: a path that leads elsewhere, a folder
        raise ZoneInfoNotFoundError(name) from None


def _guard(source: Source, values: object, path: Path, environments: Sequence[str]) -> Guard:
    rule = _rule(source, values, path)
    table = Table(source, values, path, (*GUARD_KEYS, *rules.rule(rule).KEYS))
    names = table.take("environments", convert.list_of(convert.text, least=1), ())
    for at, name in enumerate(names):
        if name not in environments:
            problem = f"must name an environment, not {found(name)}."
            raise source.error((*path, "environments", at), problem, did_you_mean(name, environments))
    return Guard(
        name=table.take("name", _name, ""),
        rule=rule,
        why=table.need("why", convert.text),
        environments=names,
        says=table.take("says", convert.text, ""),
        owner=table.take("owner", convert.text, ""),
        review_by=table.take("review_by", _date, ""),
        incident=table.take("incident", convert.text, ""),
        override=table.take("override", convert.truth, default=False),
        settings=_settings(table, rule),
    )


def _rule(source: Source, values: object, path: Path) -> str:
    """Give the name of the rule; a key of another one is an error that says whose it is."""
    known = rules.names()
    if not isinstance(values, dict):
        raise source.error(path, f"must be a table, not {found(values)}.")
    if "rule" not in values:
        raise source.error(path, 'needs the key "rule".', did_you_mean("", known))
    name = values["rule"]
    if name not in known:
        near = did_you_mean(name if isinstance(name, str) else "", known)
        raise source.error((*path, "rule"), f"must be a rule, not {found(name)}.", near)
    for key in values.keys() - {*GUARD_KEYS, *rules.rule(name).KEYS}:
        owners = " and ".join(f'"{other}"' for other in known if key in rules.rule(other).KEYS)
        if owners:
            raise source.error((*path, key), f'belongs to the rule {owners}, not to "{name}".')
    return str(name)


def _settings(table: Table, rule: str) -> dict[str, Any]:
    keys = rules.rule(rule).KEYS
    return {
        name: table.need(name, key.read) if key.required else table.take(name, key.read, key.default)
        for name, key in keys.items()
    }


def _name(value: object) -> str:
    """Take a name that can stand on a command line."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise WantedError("a name of letters, digits, dots, dashes and underscores", value)
    return value


def _date(value: object) -> str:
    """Take a date, as TOML or as text; give YYYY-MM-DD."""
    try:
        told = value if isinstance(value, date) and not isinstance(value, datetime) else date.fromisoformat(str(value))
    except ValueError:
        raise WantedError("a date such as 2026-12-31", value) from None
    return told.isoformat()


def _require_open_windows(source: Source, windows: Placed, environments: Iterable[str]) -> None:
    """Refuse zones that nobody knows, and windows that are never open together."""
    zones = {}
    for guard, path in windows:
        name = guard.settings["zone"]
        try:
            zones[name] = zone_of(name)
        except ZoneInfoNotFoundError:
            raise _unknown_zone(source, name, path) from None
    for environment in environments:
        own = [(guard, path) for guard, path in windows if guard.judges(environment)]
        if own and not any(_open_together([guard for guard, _ in own], zones, season) for season in _SEASONS):
            others = " and ".join(f'"{guard.name}"' for guard, _ in own[:-1])
            problem = f"is never open together with {others}: {environment} has no minute of the week left."
            raise source.error(own[-1][1], problem, "Widen one of them, or give them other environments.")


def _open_together(windows: Sequence[Guard], zones: dict[str, tzinfo], season: datetime) -> int:
    """Give the minutes of the week, in UTC, in which all are open."""
    together = -1
    for guard in windows:
        offset = season.astimezone(zones[guard.settings["zone"]]).utcoffset()
        minutes = 0 if offset is None else int(offset.total_seconds() // 60)
        together &= _turned(window.minutes(guard), minutes % window.WEEK)
    return together


def _turned(minutes: int, by: int) -> int:
    """Turn a week of minutes back: what begins at `by` begins at 0."""
    return minutes >> by | (minutes & ((1 << by) - 1)) << (window.WEEK - by)


def _unknown_zone(source: Source, name: str, path: Path) -> ConfigError:
    known = sorted(available_timezones())
    way = "This machine has no time zones but UTC; on Debian they come with the package tzdata."
    if known:
        near = did_you_mean(name, known)
        way = near if near.startswith("Did") else "Zones have names such as Europe/Berlin or UTC."
    return source.error((*path, "zone"), f"must be a time zone, not {found(name)}.", way)
