"""The only place that picks implementations."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping

from backout.errors import NotPossibleError
from backout.link.local import connect
from backout.link.wire import Events, Link
from backout.store.journal import Journal
from backout.store.opening import journal_path
from backout.store.sqlite import SqliteJournal


def link_to(host: str, events: Events, stdin: int | None = None) -> Link:
    """Reach a host; this release knows this machine alone."""
    if host != "local":
        raise NotPossibleError(f"{host}: this release works on this machine alone.", next='Give hosts = ["local"].')
    return connect(events, stdin)


def journal(environ: Mapping[str, str] = os.environ) -> Journal:
    """Open the journal of this user."""
    return SqliteJournal(journal_path(environ))


def new_change_id(now: Callable[[], float] = time.time) -> str:
    """Name a change: its UTC date and time, and three letters against a twin; sorts by age, fits in a sentence."""
    letters = "".join(random.choice("bcdfghjkmnpqrstvwxz") for _ in range(3))  # noqa: S311 - a name, not a secret
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime(now())) + letters
