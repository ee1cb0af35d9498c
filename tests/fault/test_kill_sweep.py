"""Killed at every state-changing system call of apply, undo and recovery: afterwards all-old or all-new (law 5)."""

from __future__ import annotations

import collections
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kit.bench import Bench
from kit.picture import difference, picture

ACT = Path(__file__).parents[1] / "kit/act.py"
SOURCE = Path(__file__).parents[2] / "src"
CHANGING = (
    *("rename", "renameat", "renameat2", "write", "pwrite64", "fsync", "syncfs", "unlink", "unlinkat", "rmdir"),
    *("mkdir", "mkdirat", "link", "linkat", "chmod", "fchmod", "fchmodat", "chown", "fchownat", "utimensat"),
    *("setxattr", "removexattr", "ftruncate"),
)


def _tree(tree: Path) -> None:
    (tree / "etc").mkdir()
    (tree / "etc/app.conf").write_text("workers = 2\n")
    (tree / "old/deep").mkdir(parents=True)
    (tree / "old/deep/file").write_text("old")
    (tree / "one").write_text("shared")
    os.link(tree / "one", tree / "two")
    (tree / "gone").write_text("gone")
    (tree / "stays").write_text("stays")
    (tree / "link").symlink_to("old")


def _edit(tree: Path) -> None:
    (tree / "etc/app.conf").write_text("workers = 4\n")
    (tree / "etc").chmod(0o711)
    shutil.rmtree(tree / "old")
    shutil.copytree(tree / "etc", tree / "new")
    (tree / "one").write_text("both")
    (tree / "gone").unlink()
    os.link(tree / "stays", tree / "stays too")
    (tree / "link2").symlink_to("etc")
    (tree / "link2").rename(tree / "link")


class Stage:
    """A workbench whose change can be applied, undone and recovered by processes that are killed."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder)
        _tree(self.bench.tree)
        self.old = picture(self.bench.tree)
        self.order = self.bench.rehearse(_edit)
        self.state = Path(os.fsdecode(self.bench.state))
        (self.state / "order.pickle").write_bytes(pickle.dumps(self.order))
        self.new: dict[bytes, Any] = {}

    def run(self, *verb: str, strace: tuple[str, ...] = ()) -> int:
        """Run one act in a process of its own, under strace when asked; gives its exit code."""
        name, *rest = verb
        command = [*strace, sys.executable, "-B", str(ACT), name, str(self.state), *rest]
        environ = {"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"]}
        return subprocess.run(command, env=environ, check=False, capture_output=True, timeout=60).returncode

    def killed(self, call: str, number: int, *verb: str) -> int:
        """Run an act and kill it at the Nth call of a system call."""
        return self.run(
            *verb,
            strace=(
                "strace",
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                f"trace={call}",
                "-e",
                f"inject={call}:signal=SIGKILL:when={number}",
            ),
        )

    def calls(self, *verb: str) -> list[tuple[str, int]]:
        """Run an act whole and list every state-changing call it makes: (name, number)."""
        log = self.state / "strace"
        assert self.run(*verb, strace=("strace", "-f", "-qq", "-o", str(log), "-e", "trace=" + ",".join(CHANGING))) == 0
        made = collections.Counter(re.findall(r"(?m)^\d+\s+(\w+)\(", log.read_text(errors="replace")))
        log.unlink()
        return [(call, number) for call, count in made.items() for number in range(1, count + 1)]

    def is_whole(self) -> str:
        """Tell that the tree is all-old or all-new; anything else fails."""
        now = picture(self.bench.tree)
        if now == self.old:
            return "old"
        untimed = picture(self.bench.tree, times=False)
        assert difference(untimed, self.new) == {}, difference(untimed, self.old)
        return "new"


@pytest.fixture
def stages(tmp_path: Path) -> Any:
    """Make one fresh stage after another."""
    made: list[Stage] = []

    def make() -> Stage:
        stage = Stage(tmp_path / f"s{len(made)}")
        if made:
            stage.new = made[0].new
        made.append(stage)
        return stage

    return make


def test_apply_killed_at_every_call(stages: Any) -> None:
    """Before `applied` recovery undoes, after it keeps (healthy here): never a mixture."""
    whole = stages()
    calls = whole.calls("apply")
    whole.new = picture(whole.bench.tree, times=False)
    seen = set()
    for call, number in calls:
        stage = stages()
        assert stage.killed(call, number, "apply") != 0, f"{call} {number} was not reached"
        assert stage.run("recover") == 0
        seen.add(stage.is_whole())
    assert seen == {"old", "new"}


def test_undo_killed_at_every_call(stages: Any) -> None:
    """Law 5 for `back`: a back-out is a change like any other."""
    whole = stages()
    assert whole.run("apply") == 0
    whole.new = picture(whole.bench.tree, times=False)
    calls = whole.calls("undo", whole.order.change)
    assert whole.is_whole() == "old"
    seen = set()
    for call, number in calls:
        stage = stages()
        assert stage.run("apply") == 0
        assert stage.killed(call, number, "undo", stage.order.change) != 0
        assert stage.run("recover") == 0
        seen.add(stage.is_whole())
    assert seen == {"old", "new"}


def test_recovery_killed_at_every_call(stages: Any) -> None:
    """Recovery is killed while it recovers an apply that was killed amid its switches; the next one ends it."""

    def half_applied() -> Stage:
        stage: Stage = stages()
        assert stage.killed("renameat2", 4, "apply") != 0
        return stage

    first = half_applied()
    for call, number in first.calls("recover"):
        stage = half_applied()
        assert stage.killed(call, number, "recover") != 0
        assert stage.run("recover") == 0
        assert stage.is_whole() == "old"
