"""Views of this host with only some atoms of a recorded change in them: trials, of which nothing is left, and the rest.

The rest of a change is measured as if a command had done no more than that: it can be refused, applied, let go.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from backout.errors import UsageError
from backout.host import network as networks
from backout.host import shims
from backout.host.claim import claimed
from backout.host.compose import TRIAL, Wanted, fill
from backout.host.ledger import Ledger
from backout.host.plan import Plan, Relink
from backout.host.recorded import Recorded
from backout.host.rehearse import Done, Rehearsed, Request, checked, conclude, look
from backout.host.sandbox import Sandbox
from backout.host.transact import is_noise
from backout.model.atoms import AFTER, BEFORE
from backout.model.check import Check
from backout.model.step import Switch


def trial(ledger: Ledger, recorded: Recorded, chosen: Collection[int], checks: Sequence[Check]) -> dict[str, Any]:
    """Run checks where only the chosen atoms are there; gives {results, limits}."""
    results, limits = _tried(ledger, Wanted(recorded, chosen, TRIAL + os.urandom(8).hex()), checks)
    return {"results": results, "limits": [*limits, *recorded.limits()]}


def whole(ledger: Ledger, recorded: Recorded, checks: Sequence[Check], *, there: bool) -> dict[str, Any]:
    """Run checks where a change is there as it was made, or not at all, whatever became of the host since.

    Gives {results, limits, moved}: `moved` counts the paths at which the host moved on. In the view they are as the
    change left them, or as they were before it.
    """
    side = AFTER if there else BEFORE
    moved = recorded.moved_on(recorded.raw) if side != recorded.live else []
    wanted = Wanted(recorded, (), TRIAL + os.urandom(8).hex(), side)
    results, limits = _tried(ledger, wanted, checks)
    return {"results": results, "limits": limits, "moved": sum(not is_noise(row.path) for row in moved)}


def _tried(ledger: Ledger, wanted: Wanted, checks: Sequence[Check]) -> tuple[list[dict[str, Any]], list[str]]:
    """Run checks in a composition of which nothing stays; gives their results and what it could not see."""
    with claimed(ledger, wanted.name) as descriptor:
        try:
            with composition(ledger.state, wanted) as sandbox:
                results = checked(sandbox, checks, dict(os.environ))
                sandbox.close(keep=False)
        finally:
            os.close(descriptor)
    return [result._asdict() for result in results], [*sandbox.limits]


def compose(
    state: bytes, recorded: Recorded, chosen: Collection[int], request: Request, say: Callable[[str], None]
) -> Rehearsed:
    """Measure a change of its own, of only some atoms; `request` has its id, and the command of the recorded one."""
    begun, started = time.monotonic(), time.time()
    with composition(state, Wanted(recorded, chosen, request.change)) as sandbox:
        say("reading what is left of the change")
        looked = look(sandbox, request, recorded.requests(chosen), say, recorded.in_place)
    limits = tuple(recorded.document["limits"])
    done = Done(recorded.document["exit_code"], recorded.output, limits, started, time.monotonic() - begun)
    rehearsed = conclude(sandbox, request, done, looked)
    return rehearsed._replace(plan=_relinked(rehearsed.plan, recorded))


def _relinked(plan: Plan, recorded: Recorded) -> Plan:
    """Make names of live files of those that the recorded change had as such, and that are copies here."""
    known = {relink.staged for relink in plan.relinks}
    steps = {step.path: step for step in plan.steps if isinstance(step, Switch) and step.want is not None}
    found = [
        Relink(steps[path].staged, source)
        for path, source in recorded.tied
        if not recorded.standing and path in steps and steps[path].staged not in known
    ]
    return plan._replace(relinks=(*plan.relinks, *found))


@contextmanager
def composition(state: bytes, wanted: Wanted) -> Iterator[Sandbox]:
    """Give a sandbox whose layers are composed and frozen, as after a command."""
    if not wanted.side:
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
            yield sandbox
    finally:
        shutil.rmtree(stand_ins, ignore_errors=True)


def require_atoms(recorded: Recorded, chosen: Collection[int]) -> None:
    """Refuse atoms that a change does not have."""
    unknown = [number for number in chosen if number >= len(recorded.atoms)]
    if unknown:
        raise UsageError(f"Change {recorded.change.id} has {len(recorded.atoms)} atoms; there is none {unknown[0]}.")
