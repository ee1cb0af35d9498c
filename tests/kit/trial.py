"""Compositions of a recorded change, looked into from outside: what a tree is like with only some atoms there."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backout.host.compose import TRIAL, Wanted
from backout.host.ledger import Ledger
from backout.host.recorded import Recorded
from backout.host.serve import Host
from backout.host.trial import composition
from backout.model.ledger import fold
from kit.picture import picture


def recorded(state: Path, change: str | None = None, *, newest: bool = True) -> Recorded:
    """Read a recorded change: if none is named the newest, or the oldest."""
    ledger = Ledger(os.fsencode(state))
    changes = {known.id: known for known in fold(ledger.entries())}
    return Recorded(ledger, changes[change] if change else list(changes.values())[-1 if newest else 0])


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


@contextmanager
def half(state: Path) -> Iterator[Host]:
    """Give a host half of this process; what it was asked for and nobody took is dropped."""
    host = Host(lambda _: None, os.fsencode(state))
    try:
        yield host
    finally:
        host.end()


def numbers(host: Host, change: str, *subjects: str) -> list[int]:
    """Give the places of the atoms whose subjects end so."""
    atoms = host.acting.atoms(change)["atoms"]
    found = [number for number, atom in enumerate(atoms) if atom["subject"] and atom["subject"].endswith(subjects)]
    assert len(found) == len(subjects), [atom["subject"] for atom in atoms]
    return found


def said(host: Host, change: str, chosen: Collection[int], command: str) -> str:
    """Give what a command says in a trial with the chosen atoms."""
    check = {"name": "said", "run": f"{{ {command}; }} 2>&1; true", "within_s": 60}
    (result,) = host.acting.trial(change, list(chosen), [check])["results"]
    assert result["result"] == "healthy", result
    output: str = result["output"]
    return output
