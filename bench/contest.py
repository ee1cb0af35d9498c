"""Contenders that do the same job, run in turns so that a noisy machine is noisy for all of them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _nothing() -> None:
    """Need no preparation."""


class Contender(NamedTuple):
    """One way to do the job: `prepare` is not timed, `act` is."""

    name: str
    act: Callable[[], object]
    prepare: Callable[[], object] = _nothing


class Contest(NamedTuple):
    """One table: what is compared, what a reader should know, who takes part; the first is the one asked about."""

    title: str
    note: str
    contenders: Sequence[Contender]


class Result(NamedTuple):
    """What one contender took, in seconds, a round each."""

    name: str
    took_s: tuple[float, ...]

    @property
    def median_s(self) -> float:
        """Give the median."""
        return statistics.median(self.took_s)


def hold(contest: Contest, rounds: int) -> list[Result]:
    """Run every contender once a round; the first round warms caches and does not count."""
    took: dict[str, list[float]] = {contender.name: [] for contender in contest.contenders}
    for turn in range(rounds + 1):
        for contender in contest.contenders:
            contender.prepare()
            begun = time.perf_counter()
            contender.act()
            if turn:
                took[contender.name].append(time.perf_counter() - begun)
    return [Result(name, tuple(times)) for name, times in took.items()]


class Place:
    """A folder to measure in, with a state folder of its own; `peer` is the path of `try`, where there is one."""

    def __init__(self, folder: str, peer: str | None, seed: int | None) -> None:
        self.folder, self.peer, self.seed = folder, peer, seed
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(("BACKOUT", "XDG"))}
        self.environ.update(
            BACKOUT_STATE=self.path("state"), XDG_STATE_HOME=self.path("xdg"), TMPDIR=self.fresh("tmp"), NO_COLOR="1"
        )

    def path(self, *names: str) -> str:
        """Name something in the folder."""
        return os.path.join(self.folder, *names)

    def fresh(self, name: str) -> str:
        """Make a folder in it, if it is not there."""
        os.makedirs(self.path(name), exist_ok=True)
        return self.path(name)

    def must(self, *argv: str, cwd: str | None = None, environ: Mapping[str, str] | None = None) -> None:
        """Run a command that has to work; what it says is shown when it does not."""
        done = subprocess.run(
            argv, cwd=cwd or self.folder, env=environ or self.environ, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")

    def backout(self, *words: str, cwd: str | None = None) -> None:
        """Run backout, as installed beside this interpreter."""
        self.must(os.path.join(os.path.dirname(sys.executable), "backout"), "--quiet", *words, cwd=cwd)
