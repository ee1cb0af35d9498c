"""The only place that picks implementations."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING

from backout.errors import BackoutError

if TYPE_CHECKING:  # each function imports what it picks: the host half is begun before all else is imported
    from pathlib import Path

    from backout.config.values import Config
    from backout.link.local import Child
    from backout.link.wire import Events, Link
    from backout.model.notice import Message, Result
    from backout.store.aside import KeepingJournal
    from backout.store.drafts import Draft
    from backout.store.journal import Journal

_LOCKED_S = 3.0
"""How long an incident waits for another process that writes: somebody is waiting, and it can go aside."""
_LETTERS = "bcdfghjkmnpqrstvwxz"


def begin(stdin: int | None = None) -> Child:
    """Let this machine's host half come up while the caller goes on; `stdin` is what a command may read from."""
    from backout.link import local

    return local.begin(stdin)


def link_to(
    host: str,
    become: str | None,
    events: Events,
    begun: Child | None,
    on_the_way: Callable[[Callable[[], None]], None] = lambda _: None,
) -> Link:
    """Reach a host: this machine, whose host half has `begun`, or another one by ssh.

    `on_the_way` is told how to end at once what is waited for.
    """
    if begun is not None:
        from backout.link import local

        return local.connect(begun, events)
    from backout.link import ssh

    return ssh.connect(host, become, events, on_the_way)


def recorded_shell(host: str, become: str | None) -> list[str]:
    """Give the command line that starts, on a terminal, a shell which tells of its commands: here, or on a host."""
    from backout.config.values import LOCAL
    from backout.terminal import bash

    if host == LOCAL:
        return bash.words()
    from backout.link import login

    return login.words(host, become, bash.script())


def command_at(host: str, become: str | None, argv: Sequence[str], *, terminal: bool) -> list[str]:
    """Give the command line that runs a command at its place: on this machine, or on a host, with a terminal or not."""
    from backout.config.values import LOCAL

    if host == LOCAL:
        return list(argv)
    from backout.link import login

    return login.command(host, become, argv, terminal=terminal)


def journal(environ: Mapping[str, str] = os.environ) -> Journal:
    """Open the journal of this user; what lay aside is taken in."""
    from backout.store.aside import Aside
    from backout.store.opening import journal_path
    from backout.store.sqlite import SqliteJournal

    path = journal_path(environ)
    opened = SqliteJournal(path)
    with suppress(BackoutError):  # then it stays aside; who reads can go on, and who writes is told
        Aside(path, environ).into(opened)
    return opened


def keeping_journal(environ: Mapping[str, str] = os.environ) -> KeepingJournal:
    """Open the journal of this user so that nothing is lost: what it cannot take within 3 s goes aside."""
    from backout.store.aside import Aside, KeepingJournal
    from backout.store.opening import journal_path
    from backout.store.sqlite import SqliteJournal

    path = journal_path(environ)
    return KeepingJournal(
        lambda: SqliteJournal(path, waits_s=_LOCKED_S),
        Aside(path, environ),
        to_read=lambda: SqliteJournal(path, to_read=True),
    )


def draft(name: str, environ: Mapping[str, str] = os.environ) -> AbstractContextManager[Draft]:
    """Hold a file of this user's for what is edited under this name: one that a crash left, else a new one."""
    from backout.store import drafts

    return drafts.held(_drafts_folder(environ), name)


def saving(environ: Mapping[str, str] = os.environ) -> AbstractContextManager[None]:
    """Let one of this user's commands after the other put on record what was edited."""
    from backout.store import drafts

    return drafts.one_by_one(_drafts_folder(environ))


def _drafts_folder(environ: Mapping[str, str]) -> Path:
    from backout.store.opening import journal_path

    return journal_path(environ).parent / "reviews"


def sender(config: Config) -> Callable[[str, Message], Result]:
    """Give what sends a message to one target: mail by the server of `[mail]`, all else by a channel of its own."""
    from backout.model.notice import is_mail

    def send(target: str, message: Message) -> Result:
        if is_mail(target):
            from backout.notify import mail

            return mail.send(config.mail, target, message)
        from backout.notify import other

        return other.send(target, message)

    return send


def new_change_id(now: Callable[[], float] = time.time) -> str:
    """Name a change: its UTC date and time, and three letters against a twin; sorts by age, fits in a sentence."""
    letters = "".join(_LETTERS[number % len(_LETTERS)] for number in os.urandom(3))
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime(now())) + letters
