"""How often hostile content made a reader fall over: the fuzz tests, each with many examples, drawn anew."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import NamedTuple

from bench.contest import ROOT

_ENDED = re.compile(r"(\d+) (passed|failed)")


class Count(NamedTuple):
    """What the tests came to, with so many examples for each property."""

    rounds: int
    passed: int
    failed: int
    said: str
    took_s: float

    def told(self) -> str:
        """Give the part of the page."""
        rows = [
            ("examples of each property", f"{self.rounds:,}"),
            ("tests that held", f"{self.passed:,}"),
            ("**tests that failed**", f"**{self.failed:,}**"),
            ("all of it took", f"{self.took_s:.0f} s"),
        ]
        table = "\n".join(["| what | count |", "| --- | ---: |", *(f"| {what} | {number} |" for what, number in rows)])
        return f"## Hostile content (`fuzz`)\n\n{_NOTE}\n\n{table}\n" + (f"\n{self.said}\n" if self.failed else "")


_NOTE = (
    "Ledger, plan, effects, journal, wire, backout.toml, what a sandbox says and every file that a lens reads, mutated "
    "from real samples: bytes, lines, "
    "values, types, depth, size. Each is read, or told as what is wrong with it. What is drawn from is in "
    "`tests/kit/hostile.py`."
)


def count(rounds: int) -> Count:
    """Run the fuzz tests with so many examples each."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--tb=short", "tests/fuzz"],
        cwd=ROOT,
        env={**os.environ, "BACKOUT_EXAMPLES": str(rounds)},
        check=False,
        capture_output=True,
        text=True,
    )
    ended = {word: int(number) for number, word in _ENDED.findall(done.stdout.splitlines()[-1])}
    failed = ended.get("failed", 0) or int(done.returncode != 0)
    return Count(rounds, ended.get("passed", 0), failed, done.stdout, time.monotonic() - begun)
