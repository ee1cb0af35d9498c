"""Laws 4 and 5 against a host that does not hold still: editors, replaced folders, swapped links."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backout.errors import ConflictError, NeedsPersonError
from backout.host.execute import Executor
from backout.model.ledger import KEPT, UNDONE
from backout.model.step import Step, Switch, Write
from kit.bench import Bench
from kit.picture import difference, picture

EDITOR = """
import os, sys, time
print('ready', flush=True)
sys.stdin.readline()
time.sleep(float(sys.argv[2]))
for count in range(200):
    with open(sys.argv[1] + '.new', 'w') as file:
        file.write(f'edit {count}')
    os.rename(sys.argv[1] + '.new', sys.argv[1])
"""
ROUNDS = 40


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give a tree with a file, a folder and a file in it."""
    bench = Bench(tmp_path)
    (bench.tree / "f").write_text("old")
    (bench.tree / "d").mkdir()
    (bench.tree / "d" / "f").write_text("old")
    return bench


@contextlib.contextmanager
def _editor(file: Path, after_s: float) -> Iterator[None]:
    """Save a file again and again beside what is done here; it begins after so many seconds, and has ended then."""
    command = [sys.executable, "-IS", "-c", EDITOR, os.fsdecode(file), str(after_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as editor:
        assert editor.stdin is not None
        assert editor.stdout is not None
        editor.stdout.readline()
        editor.stdin.write("\n")
        editor.stdin.flush()
        yield


def test_no_edit_is_lost_to_a_switch(bench: Bench) -> None:
    """Traps C2: an editor saves in a loop, at any moment of the apply; a switch puts aside what it meant to."""
    file = bench.tree / "f"
    for turn in range(ROUNDS):
        file.write_text("old")
        order = bench.rehearse(lambda root: (root / "f").write_text("ours") and None)
        applied = False
        with _editor(file, turn * 0.0005), contextlib.suppress(ConflictError):
            bench.apply(order)
            applied = True
        (step,) = order.plan.steps
        assert isinstance(step, Switch)
        assert not applied or Path(os.fsdecode(step.staged)).read_text() == "old"
        assert file.read_text() == "edit 199"


def test_no_edit_is_lost_to_a_back_out(bench: Bench) -> None:
    """Traps C2, for the way back: the change is undone or stands whole, and the editor's last word is live."""
    file = bench.tree / "f"
    seen = set()
    for turn in range(ROUNDS):
        file.write_text("old")
        order = bench.rehearse(lambda root: (root / "f").write_text("ours") and None)
        bench.transactions.apply(order, {}, {})
        with _editor(file, turn * 0.0005), contextlib.suppress(NeedsPersonError):
            bench.transactions.back_out(bench.change(order.change))
        seen.add(bench.change(order.change).state)
        assert file.read_text() == "edit 199"
    assert seen <= {UNDONE, KEPT}
    assert KEPT in seen, "no back-out met the editor: the test shows nothing"


class _CrashError(BaseException):
    """What no code catches, as a SIGKILL."""


def _edit_two(root: Path) -> None:
    (root / "one").write_text("ours")
    (root / "added").write_text("ours")


def test_a_take_back_leaves_alone_what_was_not_begun(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law 4: an apply that stops at its first path must not write over an edit of a file that it never reached."""
    _twins(bench)
    order = bench.rehearse(_edit_two)
    perform = Executor.perform

    def hindered(self: Executor, step: Step) -> None:
        (bench.tree / "added").write_text("somebody's")
        (bench.tree / "one").write_text("somebody's")
        perform(self, step)

    monkeypatch.setattr(Executor, "perform", hindered)
    with pytest.raises(ConflictError, match="it is there by now"):
        bench.apply(order)
    assert (bench.tree / "one").read_text() == (bench.tree / "two").read_text() == "somebody's"
    assert (bench.tree / "added").read_text() == "somebody's"


def test_recovery_saves_what_it_cannot_tell_from_a_half_write(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traps C5: a file written in place may hold half of ours after a crash, or somebody's edit. It is kept aside."""
    _twins(bench)
    order = bench.rehearse(_edit_two)
    perform = Executor.perform

    def crashing(self: Executor, step: Step) -> None:
        perform(self, step)
        if isinstance(step, Write):
            raise _CrashError

    monkeypatch.setattr(Executor, "perform", crashing)
    with pytest.raises(_CrashError):
        bench.apply(order)
    monkeypatch.undo()
    (bench.tree / "one").write_text("somebody's")
    assert [state for _, state in bench.transactions.recover(lambda _: True)] == [UNDONE]
    assert (bench.tree / "one").read_text() == (bench.tree / "two").read_text() == "old"
    (found,) = bench.change(order.change).body["found"]
    assert Path(found).read_text() == "somebody's"


def _twins(bench: Bench) -> None:
    (bench.tree / "one").write_text("old")
    os.link(bench.tree / "one", bench.tree / "two")


def test_a_folder_that_was_replaced_has_moved_on(bench: Bench) -> None:
    """Traps C1: a folder of the same name is not the folder that was rehearsed."""

    def replace() -> None:
        os.rename(bench.tree / "d", bench.tree / "aside")
        (bench.tree / "d").mkdir()
        (bench.tree / "d" / "f").write_text("somebody else's")

    bench.rehearse(lambda root: (root / "d" / "f").write_text("ours") and None, replace)
    assert os.fsencode(bench.tree / "d") in bench.scanned.moved


def test_a_link_put_in_a_folders_place_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    """Traps C9: whoever may write beside the tree could else have root write anywhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "f").write_text("precious")
    order = bench.rehearse(lambda root: (root / "d" / "f").write_text("ours") and None)
    os.rename(bench.tree / "d", bench.tree / "aside")
    os.symlink(elsewhere, bench.tree / "d")
    before = picture(elsewhere)
    with pytest.raises(ConflictError, match="replaced by a link"):
        bench.apply(order)
    assert difference(picture(elsewhere), before) == {}
