"""How every command of an incident ends: with what is due, and what did not arrive; and with that tried once more."""

from __future__ import annotations

import contextlib
import sys
import time
import typing

from backout.errors import BackoutError
from backout.flow.tell import reminder, retry_in_background
from backout.render.screen import Screen

if typing.TYPE_CHECKING:
    from backout.config.values import Config
    from backout.store.journal import Journal


def remind(journal: Journal, config: Config, *, silent: bool) -> None:
    """Say on stderr who is owed the next word and what did not arrive, and let what is due be sent in the background.

    It never fails: what the command itself did is done. `silent` says nothing.
    """
    with contextlib.suppress(BackoutError, OSError):
        now = time.time()
        line = None if silent else reminder(journal, config, now)
        if line is not None:
            sys.stderr.write(Screen().visible(line) + "\n")
        retry_in_background(journal, config, now)
