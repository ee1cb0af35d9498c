"""What changes of ours left behind, to tell drift from them, and drift that is taken into the record."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from backout.errors import RefusedError, UsageError
from backout.host.archive import Archive
from backout.host.ledger import Ledger
from backout.host.plan import Plan
from backout.host.transact import Order, Transactions


def left(state: bytes, changes: Iterable[str], paths: Iterable[str]) -> dict[str, Any]:
    """Tell how changes, oldest first, left paths: the state as in effects, null for what they removed.

    A path that none of them touched is not there, and neither is one of a change whose bits gc let go.
    """
    wanted = set(paths)
    found: dict[str, Any] = {}
    for change in changes:
        try:
            raw = Archive(state, change).raw()
        except UsageError:  # gc let its bits go
            continue
        for effect in raw:
            path = os.fsdecode(effect.path)
            if path in wanted:
                found[path] = effect.after and effect.after.document()
    return found


class Found(NamedTuple):
    """Drift to be taken into the record as change `new`: its body and effects document, and the ledger's last entry."""

    new: str
    body: dict[str, Any]
    document: dict[str, Any]
    seq: int


def adopt(transactions: Transactions, ledger: Ledger, found: Found) -> None:
    """Record drift as a change of its own: kept at once, with nothing to take back. The lock must be held.

    RefusedError when the ledger moved on since drift was looked for.
    """
    if len(ledger.entries()) != found.seq:
        raise RefusedError(
            "Another change was made while drift was looked for.", next="Look for drift again, then adopt it."
        )
    transactions.apply(Order(found.new, Plan(), (), 0), {**found.body, "adopted": True}, found.document)
    transactions.keep(found.new, {})
