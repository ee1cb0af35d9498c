"""Trials: the checks in a view of this host with only some atoms of a recorded change in it. Nothing is left of one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from backout.errors import UsageError
from backout.host import network as networks
from backout.host import shims
from backout.host.claim import claimed
from backout.host.compose import TRIAL, Wanted, fill
from backout.host.ledger import Ledger
from backout.host.recorded import Recorded
from backout.host.rehearse import checked
from backout.host.sandbox import Sandbox
from backout.model.check import Check


def trial(ledger: Ledger, recorded: Recorded, chosen: Collection[int], checks: Sequence[Check]) -> dict[str, Any]:
    """Run checks where only the chosen atoms are there; gives {results, limits}."""
    wanted = Wanted(recorded, chosen, TRIAL + os.urandom(8).hex())
    with claimed(ledger, wanted.name) as descriptor:
        try:
            with composition(ledger.state, wanted) as (sandbox, _):
                results = checked(sandbox, checks, dict(os.environ))
                sandbox.close(keep=False)
        finally:
            os.close(descriptor)
    return {"results": [result._asdict() for result in results], "limits": sandbox.limits}


@contextmanager
def composition(state: bytes, wanted: Wanted) -> Iterator[tuple[Sandbox, shims.Shims]]:
    """Give a sandbox whose layers are composed and frozen, as after a command, with its stand-ins."""
    require_atoms(wanted.recorded, wanted.chosen)
    document = wanted.recorded.document
    near = tuple(map(os.fsencode, (document["cwd"], os.environ.get("HOME", "/"))))
    stand_ins = state + b"/shims-" + os.fsencode(wanted.name)
    try:
        shim = shims.build(stand_ins)
        with Sandbox(
            wanted.name, state, network=networks.NONE, shims=shim, near=near, fill=partial(fill, wanted)
        ) as sandbox:
            sandbox.freeze()
            yield sandbox, shim
    finally:
        shutil.rmtree(stand_ins, ignore_errors=True)


def require_atoms(recorded: Recorded, chosen: Collection[int]) -> None:
    """Refuse atoms that a change does not have."""
    unknown = [number for number in chosen if number >= len(recorded.atoms)]
    if unknown:
        raise UsageError(f"Change {recorded.change.id} has {len(recorded.atoms)} atoms; there is none {unknown[0]}.")
