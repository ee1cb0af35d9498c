"""What it takes to compare two stored fact sets of 500,000 files, beside reading both with json."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from backout.flow.looked import LOOK, keep_facts
from backout.model.fact import Fact
from backout.store.sqlite import SqliteJournal
from bench.contest import Place

FACTS = 500_000
_ROUNDS = 3
_CONFIG = """
[environments.staging]
hosts = ["stage1"]
watch = ["/srv"]
[environments.{name}]
hosts = ["{name}1"]
watch = ["/srv"]
"""
_READER = "import json, sys; [json.load(open(path)) for path in sys.argv[1:]]"


def facts(differing_every: int | None) -> Iterator[Fact]:
    """Give the facts of that many files, of which one in so many is not as on the other side."""
    for number in range(FACTS):
        other = differing_every is not None and number % differing_every == 0
        content = f"{number:063x}{'1' if other else '0'}"
        state = {"type": "file", "mode": "0644", "uid": 0, "gid": 0, "size": 1000, "sha256": content}
        yield Fact("file", f"/srv/{number // 1000:04}/{number:07}", state)


def told(place: Place) -> str:
    """Measure; gives the part of the page."""
    _look(place, "staging", facts(None))
    rows = [
        _measured(place, f"backout compare --stored: {FACTS // every:,} differ, {where}", name, every)
        for name, every, where in (("near", 5000, "some parts are read"), ("far", 100, "every part is read"))
    ]
    for name, every in (("one", None), ("other", 100)):
        with open(place.path(f"{name}.json"), "w") as file:
            json.dump([list(fact) for fact in facts(every)], file)
    argv = [sys.executable, "-I", "-c", _READER, place.path("one.json"), place.path("other.json")]
    floor_s, floor_mib = _run(place, argv, 0)
    rows.append(("python3 -I: json.load of both", floor_s, floor_mib))
    table = "\n".join(
        [
            "| what | median | json = 1 | peak |",
            "| --- | ---: | ---: | ---: |",
            *(f"| {what} | {took:.1f} s | {took / floor_s:.2f} | {mib:.0f} MiB |" for what, took, mib in rows),
        ]
    )
    note = f"Median of {_ROUNDS} runs; the peak is the process's own (ru_maxrss)."
    return f"## Comparing 500,000 files (`parity`)\n\n{note}\n\n{table}\n"


def _look(place: Place, environment: str, rows: Iterator[Fact]) -> None:
    folder = Path(place.fresh(os.path.join("xdg", "backout")))
    with closing(SqliteJournal(folder / "journal.db")) as journal:
        where = {"host": f"{environment}1" if environment != "staging" else "stage1", "environment": environment}
        body = {**where, "parts": keep_facts(journal, rows), "ledger_seq": 0, "newest_change": None}
        journal.append(at=time.time(), actor="bench", type=LOOK, body=body)


def _measured(place: Place, what: str, name: str, every: int) -> tuple[str, float, float]:
    _look(place, name, facts(every))
    with open(os.path.join(place.fresh(name), "backout.toml"), "w") as file:
        file.write(_CONFIG.format(name=name))
    backout = os.path.join(os.path.dirname(sys.executable), "backout")
    config = place.path(name, "backout.toml")
    argv = [backout, "compare", "staging", name, "--stored", "--config", config]
    return what, *_run(place, argv, 3)


def _run(place: Place, argv: list[str], code: int) -> tuple[float, float]:
    """Run a command some times, which ends with that code; gives the median in seconds and the peak in MiB."""
    took, peaks = [], []
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        nothing = os.open(os.devnull, os.O_WRONLY)
        pid = os.posix_spawn(argv[0], argv, place.environ, file_actions=[(os.POSIX_SPAWN_DUP2, nothing, 1)])
        os.close(nothing)
        _, status, usage = os.wait4(pid, 0)
        if os.waitstatus_to_exitcode(status) != code:
            sys.exit(f"{' '.join(argv)}: exit {os.waitstatus_to_exitcode(status)}")
        took.append(time.perf_counter() - begun)
        peaks.append(usage.ru_maxrss / 1024)
    return statistics.median(took), max(peaks)
