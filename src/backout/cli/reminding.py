"""How commands end: with what is due, what did not arrive, which is tried once more, and what reviews promised."""

from __future__ import annotations

import contextlib
import sys
import time
import typing

from backout import bootstrap
from backout.config.find import load
from backout.config.values import Config
from backout.errors import BackoutError
from backout.flow.obligations import line, owed, rows
from backout.flow.tell import reminder, retry_in_background
from backout.render.screen import Screen

if typing.TYPE_CHECKING:
    from argparse import Namespace

    from backout.model.obligations import Obligation
    from backout.store.journal import Journal

RED = "red"
"""As `model.obligations` has it, which a note need not wait for."""


def remind(journal: Journal, config: Config, *, silent: bool, promises: bool = True) -> None:
    """Say on stderr who is owed the next word and what did not arrive, and let what is due be sent in the background.

    Then what is overdue of what reviews promised, unless it is for a command that must feel instant. It never fails:
    what the command itself did is done. `silent` says nothing.
    """
    with contextlib.suppress(BackoutError, OSError):
        now = time.time()
        lines = [] if silent else [reminder(journal, config, now)]
        if promises and not silent:
            lines.append(line(owed(journal, config, now)))
        sys.stderr.writelines(Screen().visible(said) + "\n" for said in lines if said is not None)
        retry_in_background(journal, config, now)


def owing(options: Namespace) -> dict[str, typing.Any]:
    """Give what is overdue as the field `owed` of a document, nothing where nothing is; it never fails."""
    config = Config()
    with contextlib.suppress(BackoutError, OSError):
        config = load(options.config)
    found = rows(_owed(config))
    return {"owed": found} if found else {}


def red(config: Config) -> dict[str, list[str]]:
    """Say of each guard by its name what it proved once and does not any more; it never fails."""
    found: dict[str, list[str]] = {}
    for one in _owed(config):
        if one.guard and one.sort == RED:
            found.setdefault(one.guard, []).append(one.what)
    return found


def _owed(config: Config) -> list[Obligation]:
    with contextlib.suppress(BackoutError, OSError), contextlib.closing(bootstrap.journal()) as journal:
        return owed(journal, config, time.time())
    return []
