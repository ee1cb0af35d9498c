"""A change's id is taken once on a host: by one rehearsal at a time, and never again once the ledger has it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator

from backout.errors import RefusedError
from backout.host.archive import drop_stages
from backout.host.files import make_private
from backout.host.folders import spread
from backout.host.gc import leftovers
from backout.host.ledger import Ledger
from backout.host.signals import held_back
from backout.host.stage import change_folder
from backout.host.tree import open_path


@contextlib.contextmanager
def claimed(ledger: Ledger, change: str) -> Iterator[int]:
    """Take an id for a rehearsal, for the life of this process; a RefusedError when it is not to be had.

    Gives the descriptor that holds it: closed, it lets go of the id earlier.

    Its folder in the stage is held from here on; with all that lies elsewhere under that id it is gone again when what
    is done inside goes wrong. What a killed rehearsal of that id left is removed before. Ctrl-C waits until it is clear
    whose the folder is.
    """
    held = None
    try:
        with held_back([signal.SIGINT]):
            while held is None:  # what lay there had to go first
                held = _claimed(ledger, change)
        yield held
    except BaseException:
        if held is not None and os.path.isdir(_folder(ledger, change)):
            drop_stages(leftovers(ledger.state, os.fsencode(change)))
        raise


def _claimed(ledger: Ledger, change: str) -> int | None:
    require_new(ledger, change)
    folder = _folder(ledger, change)
    fresh = not os.path.isdir(folder)
    make_private(os.path.dirname(folder))
    spread(os.path.dirname(folder))
    make_private(folder)
    descriptor = _held(folder, change)
    if descriptor is None:  # another let it go at this very moment
        return None
    try:
        require_new(ledger, change)  # who held it before may have applied it
        if not fresh:
            drop_stages(leftovers(ledger.state, os.fsencode(change)))
    except BaseException:
        os.close(descriptor)
        raise
    if fresh:
        return descriptor
    os.close(descriptor)
    return None


def settled(ledger: Ledger, change: str) -> None:
    """Remove a claimed id's folder where nothing of the change lies in it: the ledger has the id from here on."""
    folder = _folder(ledger, change)
    if os.path.isdir(folder) and not os.listdir(folder):
        drop_stages([folder])


def _folder(ledger: Ledger, change: str) -> bytes:
    return change_folder(b"/", ledger.state, holds_state=True, change=change)


def require_new(ledger: Ledger, change: str) -> None:
    """Refuse an id that is on the ledger: whoever asks, nothing is done twice on a host."""
    if any(entry.change == change for entry in ledger.entries()):
        raise RefusedError(
            f"Change {change} is on this host's record already.", next="backout log shows where it stands."
        )


def _held(folder: bytes, change: str) -> int | None:
    try:
        descriptor = open_path(folder)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RefusedError(
            f"Another backout is at work on change {change} on this host.",
            next="Wait for it to end, then try again.",
        ) from None
    here = os.fstat(descriptor)
    if os.path.isdir(folder) and os.path.samestat(here, os.lstat(folder)):
        return descriptor
    os.close(descriptor)
    return None
