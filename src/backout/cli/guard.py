"""`backout guard list`, `add` and `test`."""

from __future__ import annotations

import datetime as dt
import subprocess
from argparse import Namespace
from contextlib import ExitStack, closing
from typing import Any

from backout import bootstrap
from backout.cli.commands import _fleet
from backout.cli.reminding import red
from backout.cli.screens import put, put_json, screen
from backout.config.append import appended, located
from backout.config.find import load, tables
from backout.config.nearest import did_you_mean
from backout.config.values import LOCAL, Config, Environment
from backout.errors import UsageError
from backout.flow.guard import IsThere, listed
from backout.flow.replay import Setting, replay
from backout.model.guard import Guard
from backout.model.rules import rule


def guard(options: Namespace) -> int:
    """`backout guard`."""
    return {"list": _list, "add": _add, "test": _test}[options.act](options)


def _list(options: Namespace) -> int:
    config = load(options.config)
    written = tables(config.path, "guards")
    document = listed(config, written, _today(), _shell_in(config.folder))
    turned = red(config)
    for row in document["guards"]:
        row["problems"] += turned.get(row["name"], [])
    _answer(options, document, "guards")
    return 0


def _add(options: Namespace) -> int:
    values = _values(options)
    new = appended(located(options.config), "guards", values)
    new.write()
    alone = new.config._replace(guards=new.config.guards[-1:])
    document = listed(alone, [values], _today(), _shell_in(alone.folder))
    if options.json:
        put_json(document)
        return 0
    (row,) = document["guards"]
    lines = [f"Added to {new.path}:", "", *new.added.strip().splitlines(), "", *row["problems"]]
    put("\n".join(map(screen(options).visible, lines)) + f"\nNext: backout guard test {row['name']}\n")
    return 0


def _test(options: Namespace) -> int:
    if options.proofs:
        from backout.cli.proving import test

        return test(options)
    config = load(options.config)
    guards = _chosen(config, options.names)
    chosen = _with_twins(config, guards, options.environment)
    with ExitStack() as stack:
        opened = [(environment, *stack.enter_context(_reached(options, environment))) for environment in chosen]
        if options.environment is None and not any(LOCAL in known.hosts for known in chosen):
            opened.append((None, *stack.enter_context(_reached(options, Environment(LOCAL, (LOCAL,))))))
        journal = stack.enter_context(closing(bootstrap.journal()))
        fleets = [(environment and environment.name, fleet) for environment, fleet, _ in opened]
        setting = Setting(guards, config, journal, fleets, config.folder)
        document = replay(setting, options.environment, opened[-1][2].step)
    _answer(options, document, "guard_test")
    return 0


def _with_twins(config: Config, guards: list[Guard], name: str | None) -> list[Environment]:
    """Give the environment of -e, and the one that it should be like where a guard looks there; without it, all."""
    if name is None:
        return [*config.environments]
    chosen = config.environment(name)
    twin = chosen.same_as if any("staging" in rule(guard.rule).NEEDS for guard in guards) else None
    return [chosen, *([config.environment(twin)] if twin else [])]


def _reached(options: Namespace, environment: Environment) -> Any:
    """Reach the hosts of one environment among several: each has a host half of its own where it lists this machine."""
    return _fleet(Namespace(**{**vars(options), "environment": environment.name, "begun": None}), environment)


def _chosen(config: Config, names: list[str]) -> list[Guard]:
    """Give the guards that are named; all where none is."""
    known = {guard.name: guard for guard in config.guards}
    for name in names:
        if name not in known:
            where = config.path or "There is no backout.toml, so it"
            raise UsageError(
                f"{where} has no guard {name!r}.", next=did_you_mean(name, [*known]) or "backout guard add"
            )
    return [known[name] for name in dict.fromkeys(names)] or [*config.guards]


def _values(options: Namespace) -> dict[str, Any]:
    """Give the keys of the new guard in the order in which people read them."""
    values = {
        "name": options.name,
        "rule": options.rule,
        "environments": options.environments,
        "what": options.what,
        "most": dict(options.most),
        "requirements": options.requirements,
        "hours": options.hours,
        "days": [day for days in options.days for day in days.split(",")],
        "zone": options.zone,
        "run": options.run,
        "within": options.within,
        "why": options.why,
        "says": options.says,
        "owner": options.owner,
        "review_by": _day(options.review_by),
        "incident": options.incident,
        "override": options.override_allowed,
    }
    return {key: value for key, value in values.items() if value not in (None, [], {}, False)}


def _day(text: str | None) -> dt.date | str | None:
    """Give a date as TOML has it; what is none stays as it is, and is told of when the file is read."""
    try:
        return None if text is None else dt.date.fromisoformat(text)
    except ValueError:
        return text


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def _shell_in(folder: str) -> IsThere:
    """Ask the shell that runs guards whether it knows a program: built in, on the path, or at a path from there."""

    def is_there(program: str) -> bool:
        asked = ["sh", "-c", 'command -v -- "$1" >/dev/null', "sh", program]
        return subprocess.run(asked, cwd=folder, check=False).returncode == 0

    return is_there


def _answer(options: Namespace, document: dict[str, Any], drawing: str) -> None:
    if options.json:
        put_json(document, "guards")
        return
    from backout.render import guard as drawn

    put(getattr(drawn, drawing)(document, screen(options)))
