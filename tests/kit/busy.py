"""A host that does not hold still: processes that write again and again, and a mount namespace of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kit.cli import Backout

_LOOP = """
import json, os, select, signal, sqlite3, subprocess, sys
{program}
count = 0
while not select.select([0], [], [], 0.002)[0]:
    count += 1
    turn(count)
    if count == 1:
        print('begun', flush=True)
print(json.dumps([count, last()]), flush=True)
"""


class Again:
    """A process that does its turn again and again, until it is ended."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def end(self) -> tuple[int, Any]:
        """End it after a whole turn; gives how many it did, and what its `last()` says."""
        said, _ = self._process.communicate("\n", timeout=300)
        assert self._process.returncode == 0
        count, last = json.loads(said)
        return count, last

    def kill(self) -> None:
        """End it wherever it is."""
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def again(program: str, *words: str | Path) -> Iterator[Again]:
    """Run a Python program's `turn(count)` again and again; it has done one when this begins, and is gone after."""
    command = [sys.executable, "-IS", "-c", _LOOP.format(program=program), *map(str, words)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            yield Again(process)
        finally:
            process.kill()


class World:
    """A mount namespace in which some folders of this machine are others, each a file system of its own."""

    def __init__(self, holder: int, folder: Path) -> None:
        self._enter = ["nsenter", f"--mount=/proc/{holder}/ns/mnt", "sh", "-c", 'cd "$0" && exec "$@"', str(folder)]

    def __call__(self, *words: str | Path, **how: Any) -> subprocess.CompletedProcess[str]:
        """Run a program in it, live; it must go well."""
        done = subprocess.run([*self._enter, *words], capture_output=True, text=True, check=False, timeout=300, **how)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def holds(self, backout: Backout) -> None:
        """Have a command line run in it from now on."""
        backout.enter = self._enter


@contextlib.contextmanager
def world(folder: Path, places: Sequence[tuple[Path, str]]) -> Iterator[World]:
    """Give a world in which each place is filled with a copy of a folder; programs run in it begin in `folder`."""
    mounts = [f"mount -t tmpfs -o mode=755 none {at} && cp -a {source}/. {at}" for source, at in places]
    command = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-ec",
        "\n".join([*mounts, "echo made", "read x"]),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "made\n"
            yield World(holder.pid, folder)
        finally:
            holder.kill()
