"""Users, groups and cron tables: what their files say, in the words of effects."""

from __future__ import annotations

import os
from collections.abc import Iterator

from backout.host.facts.looking import Looking
from backout.lens import cron, group, user
from backout.model.fact import Fact

_TABLES = ("/etc/cron.d", "/var/spool/cron", "/var/spool/cron/crontabs", "/var/spool/cron/tabs")


def users(looking: Looking) -> Iterator[Fact]:
    """Tell every user."""
    if os.path.exists("/etc/shadow") and not os.access("/etc/shadow", os.R_OK):
        looking.limit("Whether a password is set, and its age, cannot be told without root.")
    for name, fields in user.known(lambda path: looking.read(os.fsdecode(path))).items():
        yield Fact("user", name, fields)


def groups(looking: Looking) -> Iterator[Fact]:
    """Tell every group."""
    for name, fields in group.known(lambda path: looking.read(os.fsdecode(path))).items():
        yield Fact("group", name, fields)


def cron_lines(looking: Looking) -> Iterator[Fact]:
    """Tell every line of every cron table."""
    paths = ["/etc/crontab", *(f"{folder}/{name}" for folder in _TABLES for name in looking.names(folder))]
    rows: dict[str, str] = {}
    for path in paths:
        if cron.is_table(os.fsencode(path)) and os.path.isfile(path):
            rows.update(cron.known(os.fsencode(path), looking.read(path) or b""))
    for subject, line in rows.items():
        yield Fact("cron", subject, line)
