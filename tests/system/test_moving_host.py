"""Laws 4 and 5 against a host that does not hold still: editors, replaced folders, swapped links."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backout.errors import ConflictError
from backout.model.step import Switch
from kit.bench import Bench
from kit.picture import difference, picture

EDITOR = """
import os, sys, time
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


def test_no_edit_is_lost_to_a_switch(bench: Bench) -> None:
    """Traps C2: an editor saves in a loop, at any moment of the apply; a switch puts aside what it meant to."""
    file = bench.tree / "f"
    for turn in range(ROUNDS):
        file.write_text("old")
        order = bench.rehearse(lambda root: (root / "f").write_text("ours") and None)
        command = [sys.executable, "-IS", "-c", EDITOR, os.fsdecode(file), str(turn * 0.0005)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as editor:
            assert editor.stdin is not None
            editor.stdin.write("\n")
            editor.stdin.flush()
            applied = False
            with contextlib.suppress(ConflictError):
                bench.apply(order)
                applied = True
        (step,) = order.plan.steps
        assert isinstance(step, Switch)
        assert not applied or Path(os.fsdecode(step.staged)).read_text() == "old"
        assert file.read_text() == "edit 199"


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
