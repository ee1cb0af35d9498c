"""Looks at an environment: taken now, or the newest that are stored where that is wanted or a host is not reached."""

from __future__ import annotations

from collections.abc import Mapping

from backout.config.values import Environment
from backout.errors import BackoutError
from backout.flow.compare import Side
from backout.flow.looked import Look, newest
from backout.store.journal import Journal

STORED = "no host was asked"
"""Why a stored look is used where nobody was asked."""


def side(journal: Journal, environment: Environment, taken: Mapping[str, Look | BackoutError] | None) -> Side:
    """Put together what is known of an environment; `taken` are looks of now, or why there is none; None: none asked.

    A host that was not reached is known by its stored look.
    """
    stored = {host: newest(journal, host, environment.name) for host in environment.hosts}
    looks: dict[str, Look] = {}
    stale: dict[str, str] = {}
    missing: dict[str, str] = {}
    for host in environment.hosts:
        found = None if taken is None else taken.get(host)
        why = found.what if isinstance(found, BackoutError) else STORED
        if isinstance(found, Look):
            looks[host] = found
        elif (known := stored[host]) is not None:
            looks[host], stale[host] = known, why
        else:
            missing[host] = why if taken is not None else "it was never looked at."
    return Side(environment, looks, stale, missing)
