"""Recovery by hand, as the documentation tells it: with the files on the disk alone, and none of the program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backout.host.takeback import KEEP, Wish, take_back
from backout.host.transact import Order
from backout.model.ledger import PREPARED, UNDONE
from backout.model.step import Switch
from kit.bench import Bench
from kit.picture import difference, picture

BY_HAND = Path(__file__).parents[2] / "docs" / "by_hand.py"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A tree with one of each: a file to change, one to remove, a folder to replace, a link."""
    bench = Bench(tmp_path)
    (bench.tree / "app.conf").write_text("workers = 2\n")
    (bench.tree / "gone").write_text("gone")
    (bench.tree / "old/deep").mkdir(parents=True)
    (bench.tree / "old/deep/file").write_text("old")
    (bench.tree / "link").symlink_to("old")
    return bench


def edit(tree: Path) -> None:
    """Change, remove, replace and add."""
    new = tree / "new.conf"
    new.write_text("workers = 4\n")
    new.rename(tree / "app.conf")
    (tree / "gone").unlink()
    (tree / "link").unlink()
    (tree / "link").symlink_to("added")
    (tree / "added").mkdir()
    (tree / "added/file").write_text("new")


def by_hand(bench: Bench, order: Order, *options: str) -> list[str]:
    """Run the documented script on the change's plan; what it said, a line each."""
    plan = os.path.join(os.fsdecode(bench.state), "changes", order.change, "plan.json")
    command = [sys.executable, "-I", "-S", str(BY_HAND), plan, *options]
    said: str = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return said.splitlines()


def test_a_change_that_stands_is_taken_back_by_the_script_in_the_documentation(bench: Bench) -> None:
    """On the day when the program does not start, two files and a page must be enough."""
    before = picture(bench.tree)
    order = bench.rehearse(edit)
    bench.apply(order)
    after = picture(bench.tree)
    said = by_hand(bench, order)
    assert len(said) == 4
    assert difference(picture(bench.tree), after) == {}, "saying what would be done must do nothing"
    assert by_hand(bench, order, "--do") == said
    assert difference(before, picture(bench.tree)) == {}
    assert by_hand(bench, order, "--do") == [], "it may be started again"


def test_what_was_taken_back_by_hand_is_closed_by_keeping_the_edits(bench: Bench) -> None:
    """The page promises that the record can be brought in line with the host afterwards."""
    order = bench.rehearse(edit)
    bench.apply(order)
    by_hand(bench, order, "--do")
    done = picture(bench.tree)
    take_back(bench.transactions, bench.ledger, Wish(bench.change(order.change), "closed", {}, KEEP))
    bench.transactions.keep("closed", {})
    assert bench.change(order.change).undone_by == "closed"
    assert difference(done, picture(bench.tree)) == {}


def test_recovery_goes_on_where_a_person_stopped(bench: Bench) -> None:
    """A crash in the middle of an apply, half of it taken back by hand, the rest by the program."""
    before = picture(bench.tree)
    order = bench.rehearse(edit)
    bench.apply(order)
    lines = Path(os.fsdecode(bench.ledger.path)).read_bytes().splitlines(keepends=True)
    kinds = [json.loads(line)["kind"] for line in lines]
    Path(os.fsdecode(bench.ledger.path)).write_bytes(b"".join(lines[: kinds.index(PREPARED) + 1]))
    removal = next(step for step in order.plan.steps if isinstance(step, Switch) and step.want is None)
    os.rename(removal.staged, removal.path)
    assert [state for _, state in bench.transactions.recover(lambda _: True)] == [UNDONE]
    assert difference(before, picture(bench.tree)) == {}
