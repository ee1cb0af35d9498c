"""What is promised is on disk before anything relies on it: no kill shows this, only a power cut would (law 5)."""

from __future__ import annotations

import os
import pickle
import re
from itertools import groupby
from pathlib import Path

from kit.bench import Bench
from kit.faults import Acts, acting

MEANT = {"renameat2": "switch", "syncfs": "barrier"}


def _edit(tree: Path) -> None:
    (tree / "one").write_text("new")
    (tree / "two").write_text("new")


def _waits(acts: Acts, bench: Bench, *verb: str) -> list[str]:
    """Run an act; gives its switches and what it waited for between them, in order."""
    state = Path(os.fsdecode(bench.state))
    log = state / "strace"
    ended = acts.run(state, *verb, strace=("-y", "-o", str(log), "-e", "trace=renameat2,syncfs,fsync"))
    assert ended.code == 0, ended
    calls = re.findall(r"(?m)^\d+ +(\w+)\(\d*<?([^>,)]*)", log.read_text(errors="replace"))
    told = [MEANT.get(call) or os.path.basename(path) for call, path in calls]
    log.unlink()
    return [word for word, _ in groupby(word for word in told if word in {*MEANT.values(), "plan.json.new", "ledger"})]


def test_each_promise_is_on_disk_before_what_relies_on_it(tmp_path: Path) -> None:
    """A disk may keep a later write and lose an earlier one: what was staged, the plan, the intent, then the switches.

    Only when these are down is the change said to be applied. Taking it back is a change like any other.
    """
    bench = Bench(tmp_path)
    (bench.tree / "one").write_text("old")
    order = bench.rehearse(_edit)
    (Path(os.fsdecode(bench.state)) / "order.pickle").write_bytes(pickle.dumps(order))
    whole = ["barrier", "plan.json.new", "ledger", "switch", "barrier", "ledger"]
    with acting() as acts:
        assert _waits(acts, bench, "apply") == whole
        assert _waits(acts, bench, "undo", order.change) == whole
