"""How often what was applied, or taken back, was not what it should have been: random programs on random trees."""

from __future__ import annotations

import os
import sys
import time
import traceback
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings

from bench.contest import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests"))  # the vocabulary and the comparison are the suite's

from kit.fidelity import compare
from kit.programs import PROGRAMS, TREES, Step

_SHOWN = 3


class Count(NamedTuple):
    """What many rounds came to; `examples` are the tree, the program, and what differed."""

    rounds: int
    steps: int
    refused: int
    examples: list[tuple[list[Step], list[Step], dict[str, Any]]]
    took_s: float

    def told(self) -> str:
        """Give the part of the page."""
        rows = [
            ("programs of random edits, each on a random tree of its own", f"{self.rounds:,}"),
            ("edits in them", f"{self.steps:,}"),
            ("refused: changed through a name that was then gone", f"{self.refused:,}"),
            ("**differed**: applied from the bare run, or taken back from before", f"**{len(self.examples):,}**"),
            ("all of it took", f"{self.took_s:.0f} s"),
        ]
        table = "\n".join(["| what | count |", "| --- | ---: |", *(f"| {what} | {number} |" for what, number in rows)])
        shortest = sorted(self.examples, key=lambda example: len(example[0]) + len(example[1]))[:_SHOWN]
        shown = "".join(
            f"\n    tree    {tree}\n    program {program}\n    {what}\n" for tree, program, what in shortest
        )
        return f"## Exact, on whatever it is (`fidelity`)\n\n{_NOTE}\n\n{table}\n{shown}"


_NOTE = (
    "A tree is grown, a program of edits rehearsed on it, applied, run bare on its twin, and taken back. Compared are "
    "all paths on type, mode, owner, content, holes, link target, device, extended attributes, access lists, "
    "capabilities, names that share an inode, and times that were set. What is drawn from, and what is left out and "
    "why, is in `tests/kit/programs.py` and `tests/kit/fidelity.py`."
)


def count(rounds: int) -> Count:
    """Compare so many programs, drawn anew each time; goes on after one that differs."""
    steps = refused = done = 0
    examples: list[tuple[list[Step], list[Step], dict[str, Any]]] = []

    @settings(
        max_examples=rounds,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(TREES, PROGRAMS)
    def one(tree: list[Step], program: list[Step]) -> None:
        nonlocal steps, refused, done
        done, steps = done + 1, steps + len(program)
        try:
            compared = compare(tree, program)
        except Exception:  # noqa: BLE001 - a crash is a difference, too, and the other rounds still count
            examples.append((tree, program, {"crashed": traceback.format_exc()}))
            return
        refused += compared.refused
        if compared.differences:
            examples.append((tree, program, compared.differences))

    begun = time.monotonic()
    one()
    return Count(done, steps, refused, examples, time.monotonic() - begun)
