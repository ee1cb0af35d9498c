"""What a rehearsal of 100,000 new files takes in memory, beside a walk that keeps as much as a hash a path."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from typing import NamedTuple

from bench.contest import Place
from bench.files import SCANNED, fill

_LOOKS_EVERY_S = 0.02
_WRITER = "import sys; sys.path.insert(0, {root!r}); from bench.files import SCANNED, fill; fill('new', SCANNED)"
_WALKER = """
import hashlib, os
found = {{}}
for below, _, names in os.walk({folder!r}):
    for name in names:
        path = os.path.join(below, name)
        status = os.lstat(path)
        with open(path, "rb") as file:
            found[path] = status.st_mode, status.st_uid, status.st_size, hashlib.sha256(file.read()).hexdigest()
"""


class Peaks(NamedTuple):
    """The most that each process held (VmHWM), and the most that all held at one time (the sum of Pss); in MiB."""

    each: list[float]
    together: float


def told(place: Place) -> str:
    """Measure both once; gives the part of the page."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    work = place.fresh("memory")
    backout = os.path.join(os.path.dirname(sys.executable), "backout")
    writer = [sys.executable, "-I", "-c", _WRITER.format(root=root)]
    ours = _peaks([backout, "--quiet", "rehearse", "--network", "none", "--", *writer], place, work)
    folder = place.fresh("memory-walked")
    fill(folder, SCANNED)
    floor = _peaks([sys.executable, "-I", "-c", _WALKER.format(folder=folder)], place, work)
    rows = [
        ("backout rehearse, the larger of its two processes", max(ours.each)),
        ("both at one time", ours.together),
        ("python3 -I: a bare walk that keeps mode, owner, size and hash by path", max(floor.each)),
    ]
    table = "\n".join(["| what | MiB |", "| --- | ---: |", *(f"| {what} | {size:.0f} |" for what, size in rows)])
    note = "One run each; the command's own processes count, too."
    return f"## Memory at 100,000 new files (`memory`)\n\n{note}\n\n{table}\n"


def _peaks(argv: list[str], place: Place, cwd: str) -> Peaks:
    process = subprocess.Popen(argv, cwd=cwd, env=place.environ, stdout=subprocess.DEVNULL)
    each: dict[int, float] = {}
    together = 0.0
    while process.poll() is None:
        held = 0.0
        for pid in _tree(process.pid):
            with contextlib.suppress(OSError):  # it has just ended
                each[pid] = max(each.get(pid, 0), _mib(pid, "status", "VmHWM:"))
                held += _mib(pid, "smaps_rollup", "Pss:")
        together = max(together, held)
        time.sleep(_LOOKS_EVERY_S)
    if process.returncode:
        sys.exit(f"{' '.join(argv)}: exit {process.returncode}")
    return Peaks(list(each.values()), together)


def _tree(root: int) -> list[int]:
    """Name a process and all below it."""
    found = [root]
    for pid in found:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as file:
                    found += map(int, file.read().split())
    return found


def _mib(pid: int, name: str, field: str) -> float:
    with open(f"/proc/{pid}/{name}") as file:
        return next((int(line.split()[1]) / 1024 for line in file if line.startswith(field)), 0.0)
