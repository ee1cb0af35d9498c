"""`backout guard list` and `guard add`: the guards of a backout.toml, what is wrong with them, and one more."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from backout.config.values import Command, Config
from backout.model.contradiction import forbids_all
from backout.model.guard import Guard
from backout.model.rules import rule

IsThere = Callable[[str], bool]
"""Tells whether a shell in the folder of backout.toml finds a program."""
_OF_THE_SHELL = set("()<>|&;$`\\\"'*?[]#~=%!{}")


def listed(config: Config, written: Sequence[Mapping[str, Any]], today: dt.date, is_there: IsThere) -> dict[str, Any]:
    """Give the `backout.guards/1` document; `written` are the tables of the guards as the file has them."""
    rows = [
        {
            "name": guard.name,
            "rule": guard.rule,
            "environments": list(guard.environments),
            "why": guard.why,
            **{name: getattr(guard, name) or None for name in ("says", "owner", "review_by", "incident")},
            "override": guard.override,
            "settings": {key: value for key, value in table.items() if key in rule(guard.rule).KEYS},
            "problems": [*problems(guard, config.commands, today, is_there)],
        }
        for guard, table in zip(config.guards, written, strict=True)
    ]
    return {"schema": "backout.guards/1", "config": config.path, "date": today.isoformat(), "guards": rows}


def problems(guard: Guard, commands: Sequence[Command], today: dt.date, is_there: IsThere) -> Iterator[str]:
    """Say what is wrong with a guard that backout.toml may have all the same."""
    if guard.review_by and dt.date.fromisoformat(guard.review_by) < today:
        yield f"Its review was due on {guard.review_by}. Is it still right? Then give it a later date."
    if guard.rule == "forbid":
        for command in commands:
            if command.expect and forbids_all(guard.settings["what"], command.expect):
                yield f"It forbids all that the command {command.name} expects: backout run {command.name} is refused."
    if guard.rule == "command":
        program = _program(guard.settings["run"])
        if program is not None and not is_there(program):
            yield f"Its program is not there: {program}. Until it is, it refuses every change."


def _program(line: str) -> str | None:
    """Name the program that a line for the shell begins with; None where only a shell could tell."""
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    return words[0] if words and not _OF_THE_SHELL & set(words[0]) else None
