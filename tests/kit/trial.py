"""Compositions of a recorded change, looked into from outside: what a tree is like with only some atoms there."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from backout.host.compose import TRIAL, Wanted
from backout.host.ledger import Ledger
from backout.host.recorded import Recorded
from backout.host.trial import composition
from backout.model.ledger import fold
from kit.picture import picture


def recorded(state: Path, change: str | None = None) -> Recorded:
    """Read a recorded change, the newest if none is named."""
    ledger = Ledger(os.fsencode(state))
    changes = {known.id: known for known in fold(ledger.entries())}
    return Recorded(ledger, changes[change] if change else list(changes.values())[-1])


def inside(state: Path, change: Recorded, chosen: Collection[int], act: Callable[[], Any]) -> Any:
    """Give what a function says in a view with only the chosen atoms; nothing of the view is left."""
    with composition(os.fsencode(state), Wanted(change, chosen, TRIAL + os.urandom(8).hex())) as sandbox:
        said = sandbox.call(lambda: repr(act()))
        sandbox.close(keep=False)
    return ast.literal_eval(said)


def seen(state: Path, change: Recorded, chosen: Collection[int], tree: Path) -> dict[bytes, dict[str, Any]]:
    """Give the picture of a tree in a view with only the chosen atoms."""
    shown: dict[bytes, dict[str, Any]] = inside(state, change, chosen, lambda: picture(tree))
    return shown
