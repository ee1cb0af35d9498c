"""A ledger that is damaged or lost, put together again from its whole lines and from copies that a journal kept.

Nothing is guessed at: every entry carries the hash of the one before, so a copy fits in one place alone or in none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backout.errors import BackoutError, NeedsPersonError
from backout.host.files import read_whole, sync_folder, write_durably
from backout.host.ledger import Ledger, changes_of, is_lost
from backout.model.chain import GENESIS, link_hash
from backout.model.digest import canonical
from backout.model.ledger import ENTRY, LedgerEntry, entry_from
from backout.model.shape import load


def mend(ledger: Ledger, copies: Iterable[Mapping[str, Any]]) -> int:
    """Put the ledger together again; gives how many entries came from the copies, 0 where nothing was wrong.

    What was there is kept beside it, under a name of its own. NeedsPersonError when an entry is in neither.
    """
    try:
        if not is_lost(ledger):
            ledger.entries()
            return 0
    except NeedsPersonError:
        pass
    lines = _lines(ledger)
    here = [entry for entry in map(_entry, lines) if entry is not None]
    whole = _longest([*_ours(ledger, copies), *here])
    untold = changes_of(ledger) - {entry.change for entry in whole}
    if len(whole) < len(lines) or (not lines and untold):
        raise _cannot(ledger, len(whole))
    _replace(ledger, whole)
    return len([entry for entry in whole if entry not in here])


def _longest(known: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    """Find the longest chain from the first line on: to an entry that was tampered with, none fits any more."""
    best: dict[tuple[int, str], tuple[int, LedgerEntry]] = {}
    for entry in sorted(known, key=lambda entry: -entry.seq):
        length = 1 + best.get((entry.seq + 1, link_hash(entry._asdict())), (0, entry))[0]
        if length > best.get((entry.seq, entry.prev), (0, entry))[0]:
            best[entry.seq, entry.prev] = (length, entry)
    chain: list[LedgerEntry] = []
    prev = GENESIS
    while (len(chain) + 1, prev) in best:
        chain.append(best[len(chain) + 1, prev][1])
        prev = link_hash(chain[-1]._asdict())
    return chain


def _lines(ledger: Ledger) -> list[bytes]:
    try:
        return read_whole(ledger.path).split(b"\n")[:-1]
    except FileNotFoundError:
        return []


def _entry(line: bytes) -> LedgerEntry | None:
    try:
        return entry_from(load(line))
    except ValueError:
        return None


def _ours(ledger: Ledger, copies: Iterable[Mapping[str, Any]]) -> list[LedgerEntry]:
    """Choose the copies that can be of this ledger: a user's journal has learned from others, too."""
    host, kept = os.uname().nodename, changes_of(ledger)
    found = (entry_from(copy) for copy in copies if ENTRY(copy))
    return [entry for entry in found if entry.host == host and entry.change in kept]


def _cannot(ledger: Ledger, whole: int) -> BackoutError:
    return NeedsPersonError(
        f"The ledger {os.fsdecode(ledger.path)} cannot be mended: line {whole + 1} is in no journal of this user.",
        state="Nothing was changed; the ledger, as it is, and the pre-images are untouched.",
        next="Start backout recover as the user who made the changes, or see Recovery by hand in the documentation.",
    )


def _replace(ledger: Ledger, whole: Iterable[LedgerEntry]) -> None:
    if os.path.exists(ledger.path):
        os.rename(ledger.path, ledger.path + time.strftime(".damaged-%Y%m%d-%H%M%S", time.gmtime()).encode())
    write_durably(ledger.path, (canonical(entry._asdict()) + b"\n" for entry in whole))
    sync_folder(ledger.state)
