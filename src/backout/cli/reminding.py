"""How every command of an incident ends: with what is due, and what did not arrive; and with that tried once more."""

from __future__ import annotations

import contextlib
import sys
import time
from argparse import Namespace

from backout.cli.screens import screen
from backout.config.values import Config
from backout.errors import BackoutError
from backout.flow.tell import reminder, retry_in_background
from backout.store.journal import Journal


def remind(options: Namespace, journal: Journal, config: Config) -> None:
    """Say on stderr who is owed the next word and what did not arrive, and let what is due be sent in the background.

    It never fails: what the command itself did is done.
    """
    with contextlib.suppress(BackoutError, OSError):
        now = time.time()
        line = None if options.json or options.quiet else reminder(journal, config, now)
        if line is not None:
            sys.stderr.write(screen(options, sys.stderr).visible(line) + "\n")
        retry_in_background(journal, config, now)
