"""Rollouts over real ssh that are cut at random, and gone on with: how often a host was torn, doubled or forgotten."""

from __future__ import annotations

import os
import sys
import time

from bench.contest import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests"))  # the hosts, and what is cut there, are the suite's

from kit.chaos import Tally, storm

_NOTE = (
    "Each rollout changes eight files on three hosts (a canary, then the others), one of them by a line that is "
    "appended. One or two cuts meet it, at a random moment of it or just after a ledger's entry; then the hosts are "
    "recovered, and it is resumed, with one more cut, until it stands everywhere. After each attempt every host must "
    "have the whole old or the whole new tree, as its ledger and what was said of it say; in the end each has the new "
    "one, once. What is cut, and how, is in `tests/kit/chaos.py`."
)


def count(rounds: int, seed: int) -> Tally:
    """Roll out so many changes."""
    with storm(seed) as made:
        for _ in range(rounds):
            made.rollout()
    return made.tally


def told(tally: Tally, took_s: float) -> str:
    """Give the part of the page."""
    rows = [
        ("rollouts", tally.runs),
        ("attempts, of which the later ones resumed", tally.attempts),
        *((f"cuts: {what}", number) for what, number in sorted(tally.cuts.items())),
        *((f"hosts found {what} after an attempt", number) for what, number in sorted(tally.met.items())),
        ("**torn, doubled, forgotten, or said to be what they were not**", f"**{len(tally.faults)}**"),
        ("all of it took", f"{took_s:.0f} s"),
    ]
    table = "\n".join(["| what | count |", "| --- | ---: |", *(f"| {what} | {number} |" for what, number in rows)])
    faults = "".join(f"\n{fault}\n" for fault in tally.faults[:5])
    return f"## A rollout that is cut (`chaos`)\n\n{_NOTE} Seed {tally.seed}.\n\n{table}\n{faults}"


def measured(rounds: int, seed: int | None) -> tuple[str, bool]:
    """Give the part of the page, and whether nothing was found that must not be; a seed is drawn when none is given."""
    begun = time.monotonic()
    tally = count(rounds, int.from_bytes(os.urandom(3)) if seed is None else seed)
    return told(tally, time.monotonic() - begun), not tally.faults
