"""From the text of a backout.toml to its values."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING

from backout.config.nearest import did_you_mean
from backout.config.place import Path
from backout.config.table import Source, Table, found
from backout.config.values import NETWORKS, Command, Config, Environment
from backout.errors import ConfigError
from backout.model import convert
from backout.model.check import Check
from backout.model.rollout import Pace
from backout.model.selector import Rule
from backout.model.shape import DEEPEST, is_deeper

if TYPE_CHECKING:
    from backout.model.guard import Guard

TOP_KEYS = ("environments", "commands", "guards", "audiences", "mail", "backups", "search", "review")
PACE_KEYS = ("canary", "wave", "pause", "max_failures")
ENVIRONMENT_KEYS = (
    *("hosts", "become", "same_as", "watch", "services", "network", "network_allow", "checks"),
    *("differs", *PACE_KEYS),
)
DIFFERS_KEYS = ("what", "why")
CHECK_KEYS = ("name", "run", "http", "rehearsal", "within")
REHEARSAL_KEYS = ("start", "http")
COMMAND_KEYS = ("run", "ok_exit", "expect", "network", "timeout")

TOP_KEYS_LATER = ("journal",)

_SYNTAX_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_DEFAULT_WITHIN_S = Check._field_defaults["within_s"]


def parse(text: str, file: str = "backout.toml") -> Config:
    """Read the text of a backout.toml; `file` is how errors name it. Every mistake is a ConfigError with its place."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(str(error), text, file) from None
    except (RecursionError, ValueError):
        raise _beyond_error(text, file) from None
    if is_deeper(values, DEEPEST):
        raise _beyond_error(text, file)
    source = Source(file, text)
    top = Table(source, values, (), TOP_KEYS, TOP_KEYS_LATER)
    environments = tuple(_environment(source, *named) for named in top.tables("environments"))
    commands = tuple(_command(source, *named) for named in top.tables("commands"))
    names = tuple(environment.name for environment in environments)
    guards = _guards(source, top, names)
    _require_known_twins(source, environments)
    config = Config(file, environments, commands, guards)
    if "search" in top:
        from backout.config import search  # as below

        config = search.told(source, top, config)
    if "review" in top:
        from backout.config import review  # as below

        config = review.told(source, top, config)
    if not any(key in top for key in ("audiences", "mail", "backups")):
        return config
    from backout.config.incidents import told  # nobody else waits for its import

    return told(source, top, config)


def _syntax_error(message: str, text: str, file: str) -> ConfigError:
    match = _SYNTAX_LINE.search(message)
    line = match[1] if match and match[1] else len(text.splitlines())
    return ConfigError(f"{file}:{line}: this is not TOML: {_SYNTAX_LINE.sub('', message)}.")


def _beyond_error(text: str, file: str) -> ConfigError:
    """Name the first line with which the text is beyond what Python reads: tomllib only says that it is."""
    lines = text.splitlines(keepends=True)
    shorter = range(1, len(lines))
    line = 1 + bisect_left(shorter, 1, key=lambda count: int(_is_beyond("".join(lines[:count]))))
    return ConfigError(f"{file}:{line}: this is nested too deeply, or a number with too many digits.")


def _is_beyond(text: str) -> bool:
    try:
        return is_deeper(tomllib.loads(text), DEEPEST)
    except tomllib.TOMLDecodeError:
        return False  # cut in the middle of a statement
    except (RecursionError, ValueError):
        return True


def _environment(source: Source, name: str, values: object, path: Path) -> Environment:
    table = Table(source, values, path, ENVIRONMENT_KEYS)
    texts, paths = convert.list_of(convert.text), convert.list_of(convert.absolute_path)
    environment = Environment(
        name=name,
        hosts=table.need("hosts", convert.list_of(convert.text, least=1)),
        become=table.take("become", convert.one_of("sudo"), None),
        same_as=table.take("same_as", convert.text, None),
        watch=table.take("watch", paths, ()),
        services=table.take("services", texts, ()),
        network=table.take("network", convert.one_of(*NETWORKS), None),
        network_allow=table.take("network_allow", convert.list_of(convert.destination), ()),
        checks=tuple(_check(source, *row) for row in table.rows("checks")),
        differs=tuple(_rule(source, *row) for row in table.rows("differs")),
        pace=_pace(table),
    )
    # Red and green are kept by name: two checks of one name could hide each other.
    for check, count in Counter(check.name for check in environment.checks).items():
        if count > 1:
            raise source.error((*path, "checks"), f'has {count} checks named "{check}"; a name must be unique.')
    return environment


def _rule(source: Source, values: object, path: Path) -> Rule:
    table = Table(source, values, path, DIFFERS_KEYS)
    return Rule(table.need("what", convert.fact_selector), table.need("why", convert.text))


def _pace(table: Table) -> Pace:
    """Read how a change goes over the environment's hosts."""
    usual = Pace()
    return Pace(
        canary=table.take("canary", convert.count, usual.canary),
        wave=table.take("wave", convert.wave, usual.wave),
        pause_s=table.take("pause", convert.duration_s, usual.pause_s),
        max_failures=table.take("max_failures", convert.count, usual.max_failures),
    )


def _check(source: Source, values: object, path: Path) -> Check:
    table = Table(source, values, path, CHECK_KEYS)
    name = table.need("name", convert.text)
    if ("run" in table) == ("http" in table):
        raise source.error(path, f'(named "{name}") needs exactly one of the keys "run" and "http".')
    run, http = table.take("run", convert.text, None), table.take("http", convert.url, None)
    start, rehearsal_http = _rehearsal(source, table, http)
    within_s = table.take("within", convert.duration_s, _DEFAULT_WITHIN_S)
    return Check(name, run, http, start, rehearsal_http, within_s)


def _rehearsal(source: Source, check: Table, http: str | None) -> tuple[str | None, str | None]:
    """Read how the application is started and asked in a rehearsal; it is asked at the live address unless told."""
    if "rehearsal" not in check:
        return None, None
    path = (*check.path, "rehearsal")
    if http is None:
        raise source.error(path, 'belongs to a check with "http": one with "run" is run in the rehearsal as it is.')
    table = Table(source, check["rehearsal"], path, REHEARSAL_KEYS)
    return table.need("start", convert.text), table.take("http", convert.url, http)


def _command(source: Source, name: str, values: object, path: Path) -> Command:
    table = Table(source, values, path, COMMAND_KEYS)
    return Command(
        name=name,
        run=table.need("run", convert.text),
        ok_exit=table.take("ok_exit", convert.list_of(convert.exit_code, least=1), (0,)),
        expect=table.take("expect", convert.list_of(convert.selector), ()),
        network=table.take("network", convert.one_of(*NETWORKS), None),
        timeout_s=table.take("timeout", convert.duration_s, None),
    )


def _guards(source: Source, top: Table, environments: tuple[str, ...]) -> tuple[Guard, ...]:
    if "guards" not in top:
        return ()
    from backout.config.guards import guards  # rules, calendars: nobody else waits for their import

    return guards(source, top.rows("guards"), environments)


def _require_known_twins(source: Source, environments: tuple[Environment, ...]) -> None:
    names = tuple(environment.name for environment in environments)
    for environment in environments:
        twin = environment.same_as
        others = tuple(name for name in names if name != environment.name)
        if twin is not None and twin not in others:
            path: Path = ("environments", environment.name, "same_as")
            raise source.error(path, f"must name another environment, not {found(twin)}.", did_you_mean(twin, others))
