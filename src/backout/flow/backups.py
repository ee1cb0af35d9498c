"""The backups of an environment, for `panic` and `calm`: how old each is, and whether it is known to be restorable."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from backout.config.values import LOCAL, Backup
from backout.flow.instant import instant, instant_if_known
from backout.model.incident import ENTRY, LINE, Entry, Incident, Row
from backout.model.situation import RESTORE, Made, Tried, made

Do = Callable[..., list[str]]
"""Writes the command that does something on the first host, and records it under a name: the name, then the words."""


def option(environment: str, hosts: Sequence[str]) -> tuple[str, ...]:
    """Give what names an environment in a command: nothing where it is this machine."""
    return () if tuple(hosts) == (LOCAL,) else ("-e", environment)


def do_there(hosts: Sequence[str], option: Sequence[str], name: str, *words: str) -> list[str]:
    """Give the command that does something on the first host, and records it under a name."""
    on = ("-e", hosts[0]) if len(hosts) > 1 else option  # it works on one
    return ["backout", "do", *on, "--as", name, "--", *words]


def told(backup: Backup, known: Made, now: float, do: Do) -> dict[str, Any]:
    """Tell of a backup: how old the last one is, how another one is made, and how its restore is tested."""
    age_s = None if known.made_at is None else now - known.made_at
    return {
        "name": backup.name,
        "command": do(backup.name, backup.run),
        "made_at": instant_if_known(known.made_at),
        "max_age_s": backup.max_age_s,
        "too_old": backup.max_age_s is not None and (age_s is None or age_s > backup.max_age_s),
        "restore_test": backup.restore_test,
        "restore": None if backup.restore_test is None else do(backup.name + RESTORE, backup.restore_test),
        "restored_at": instant_if_known(known.restored_at),
        "tested": _attempt(known.tried),
        "failed": _attempt(known.failed),
        "untested": is_untested(backup, known),
    }


def _attempt(tried: Tried | None) -> dict[str, Any] | None:
    return None if tried is None else {**tried._asdict(), "at": instant(tried.at)}


def is_untested(backup: Backup, known: Made) -> bool:
    """Tell whether a backup was made whose restore could be tested, and was not tried since."""
    if backup.restore_test is None or known.made_at is None:
        return False
    return known.tried is None or known.tried.at < known.made_at


def of_environment(
    backups: Iterable[Backup],
    environment: str,
    incidents: Iterable[Incident],
    rows: Iterable[Row],
    hosts: Iterable[str],
) -> dict[str, Made]:
    """Tell of each backup, by its name, what is on record of it on this environment, whose hosts have these names."""
    lines = [line for incident in incidents if incident.environment == environment for line in incident.entries]
    lines += by_themselves(rows, {*hosts})
    return {backup.name: made(lines, backup.name) for backup in backups}


def by_themselves(rows: Iterable[Row], hosts: Collection[str]) -> list[Entry]:
    """Give the lines of what was done on some hosts while no incident was open there."""
    return [_line(row) for row in rows if _is_alone(row) and row.body.get("host") in hosts]


def _is_alone(row: Row) -> bool:
    return row.type == ENTRY and LINE(row.body) and not row.body["incident"]


def _line(row: Row) -> Entry:
    body: Mapping[str, Any] = row.body
    return Entry(row.seq, row.at, row.recorded_at, row.actor, body["kind"], body["text"], body)
