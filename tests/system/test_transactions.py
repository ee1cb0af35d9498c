"""Changes made through a real overlay, applied and taken back on a real file system."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from backout.errors import ConflictError, UsageError
from backout.host.takeback import DISCARD, KEEP, Wish, redo_order, take_back
from kit.bench import Bench
from kit.picture import difference, picture

DOCUMENT = Path(__file__).parents[1] / "formats/applied-1.json"
"""A real one: what is kept of a change is held against its shape."""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give a workbench with a small tree in it."""
    bench = Bench(tmp_path)
    tree = bench.tree
    (tree / "etc").mkdir()
    (tree / "etc/app.conf").write_text("workers = 2\n")
    (tree / "etc/app.conf").chmod(0o640)
    (tree / "lib/deep/deeper").mkdir(parents=True)
    (tree / "lib/deep/deeper/a").write_text("a")
    (tree / "lib/deep/b").write_text("b")
    (tree / "link").symlink_to("lib/deep")
    (tree / "one").write_text("shared")
    os.link(tree / "one", tree / "two")
    for folder, _, files in os.walk(tree):
        for name in [*files, "."]:
            os.utime(
                Path(folder, name), ns=(1_600_000_000_000_000_000, 1_600_000_000_000_000_000), follow_symlinks=False
            )
    return bench


def _replace_file(root: Path) -> None:
    (root / "etc/new").write_text("workers = 4\n")
    (root / "etc/new").rename(root / "etc/app.conf")


def _directory_to_file(root: Path) -> None:
    shutil.rmtree(root / "lib/deep")
    (root / "lib/deep").write_text("now a file")


def _replace_directory(root: Path) -> None:
    shutil.rmtree(root / "lib/deep")
    (root / "lib/deep").mkdir(mode=0o700)
    (root / "lib/deep/c").write_text("c")


def _link_switch(root: Path) -> None:
    (root / "link.new").symlink_to("etc")
    (root / "link.new").rename(root / "link")


EDITS: dict[str, Callable[[Path], object]] = {
    "write": lambda root: (root / "etc/app.conf").write_text("workers = 4\n"),
    "replace": _replace_file,
    "chmod": lambda root: (root / "etc/app.conf").chmod(0o600),
    "chmod directory": lambda root: (root / "etc").chmod(0o711),
    "remove": lambda root: (root / "etc/app.conf").unlink(),
    "remove tree": lambda root: shutil.rmtree(root / "lib"),
    "new tree": lambda root: shutil.copytree(root / "lib", root / "lib2"),
    "directory to file": _directory_to_file,
    "replace directory": _replace_directory,
    "link switch": _link_switch,
    "hard link written": lambda root: (root / "one").write_text("both names change"),
    "hard link added": lambda root: os.link(root / "etc/app.conf", root / "etc/again"),
    "hard link removed": lambda root: (root / "one").unlink(),
    "fifo": lambda root: os.mkfifo(root / "pipe"),
    "xattr": lambda root: os.setxattr(root / "etc/app.conf", "user.note", b"hello"),
    "root of the tree": lambda root: root.chmod(0o751),
    "odd names": lambda root: Path(os.fsdecode(os.fsencode(root) + b"/a\n\xff\"'")).write_text("x"),
}


@pytest.mark.parametrize("name", EDITS)
def test_applied_equals_the_bare_run_and_taken_back_equals_before(bench: Bench, tmp_path: Path, name: str) -> None:
    """Law 3 and the promise of `back`: the same bytes and metadata as a bare run, and after `back` as before it."""
    edit = EDITS[name]
    bare = tmp_path / "bare"
    _copy(bench.tree, bare)
    before = picture(bench.tree)
    edit(bare)
    order = bench.rehearse(edit)
    assert difference(picture(bench.tree), before) == {}, "a rehearsal changes nothing (law 1)"
    bench.apply(order)
    assert difference(picture(bench.tree, times=False), picture(bare, times=False)) == {}
    take_back(bench.transactions, bench.ledger, Wish(bench.change(order.change), "undo", {}))
    assert difference(picture(bench.tree), before) == {}


def _copy(source: Path, target: Path) -> None:
    assert os.system(f"cp -a '{source}' '{target}'") == 0


def test_nothing_is_applied_over_a_host_that_moved_on(bench: Bench) -> None:
    """Law 4: an edit made after the rehearsal is a conflict, and stays."""
    order = bench.rehearse(EDITS["write"])
    (bench.tree / "etc/app.conf").write_text("workers = 9\n")
    with pytest.raises(ConflictError):
        bench.apply(order)
    assert (bench.tree / "etc/app.conf").read_text() == "workers = 9\n"
    assert bench.transactions.changes() == []


def test_an_edit_during_the_rehearsal_has_moved_on(bench: Bench) -> None:
    """Law 4, traps B9: the base is the moment before the view was mounted, not its end."""
    order = bench.rehearse(EDITS["write"], meanwhile=lambda: (bench.tree / "etc/app.conf").write_text("other\n"))
    assert os.fsencode(bench.tree / "etc/app.conf") in bench.scanned.moved
    assert order.plan.steps


def test_a_file_that_a_process_writes_is_not_switched_under_it(bench: Bench) -> None:
    """Law 4, traps C6: the writer's lines would go to an inode that nobody sees; the message names the process."""
    order = bench.rehearse(EDITS["write"])
    with os.popen(f"exec 9>>'{bench.tree}/etc/app.conf'; echo ready; sleep 30 & echo $!") as writer:
        pid = writer.readline() and writer.readline().strip()
        with pytest.raises(ConflictError, match=r"open for writing"):
            bench.apply(order)
        os.kill(int(pid), 15)


def test_an_edit_since_the_change_is_a_conflict_of_back_and_nothing_is_overwritten(bench: Bench) -> None:
    """Law 4 for undo: the edit is shown as a diff; keep leaves it, discard takes it back and saves it."""
    order = bench.rehearse(EDITS["write"])
    bench.apply(order)
    (bench.tree / "etc/app.conf").write_text("workers = 5\n")
    with pytest.raises(ConflictError) as caught:
        take_back(bench.transactions, bench.ledger, Wish(bench.change(order.change), "undo1", {}))
    assert "+workers = 5" in caught.value.conflicts[0]["diff"]
    assert (bench.tree / "etc/app.conf").read_text() == "workers = 5\n"
    told = take_back(bench.transactions, bench.ledger, Wish(bench.change(order.change), "undo2", {}, DISCARD))
    assert (bench.tree / "etc/app.conf").read_text() == "workers = 2\n"
    assert Path(told["saved"][0]).read_text() == "workers = 5\n"


def test_kept_edits_stay_while_the_rest_is_taken_back(bench: Bench) -> None:
    """--keep-edits: the edited path keeps its live version, everything else is as before."""

    def edit(root: Path) -> None:
        (root / "etc/app.conf").write_text("workers = 4\n")
        (root / "etc/second").write_text("new\n")

    order = bench.rehearse(edit)
    bench.apply(order)
    (bench.tree / "etc/app.conf").write_text("workers = 5\n")
    told = take_back(bench.transactions, bench.ledger, Wish(bench.change(order.change), "undo", {}, KEEP))
    assert (bench.tree / "etc/app.conf").read_text() == "workers = 5\n"
    assert Path(told["saved"][0]).read_text() == "workers = 5\n", "the edit is saved either way"
    assert not (bench.tree / "etc/second").exists()


def test_a_log_that_grew_since_keeps_its_live_version(bench: Bench) -> None:
    """Design, "back": a noise path that moved on is no conflict; it is counted and stays."""
    code = "__pycache__/a.cpython-311.pyc"

    def edit(root: Path) -> None:
        (root / "etc/app.conf").write_text("workers = 4\n")
        (root / code).write_text("one")

    (bench.tree / "__pycache__").mkdir()
    (bench.tree / code).write_text("zero")
    order = bench.rehearse(edit)
    bench.apply(order)
    (bench.tree / code).write_text("two")
    told = take_back(bench.transactions, bench.ledger, Wish(bench.change(order.change), "undo", {}))
    assert told["noise_kept"] == 1
    assert (bench.tree / code).read_text() == "two"
    assert (bench.tree / "etc/app.conf").read_text() == "workers = 2\n"


def _new_folder(root: Path) -> None:
    (root / "new/deep").mkdir(parents=True)
    for name in ("new/ours", "new/edited", "new/deep/ours", "new/deep/other"):
        (root / name).write_text("ours\n")
    (root / "new/whole").mkdir()
    (root / "new/whole/ours").write_text("ours\n")


@pytest.fixture
def lived_in(bench: Bench) -> Bench:
    """Give a tree with a folder that a change made, and in which somebody has worked since."""
    order = bench.rehearse(_new_folder)
    bench.transactions.apply(order, {}, json.loads(DOCUMENT.read_text()))
    bench.transactions.keep(order.change, {})
    (bench.tree / "new/edited").write_text("edited\n")
    (bench.tree / "new/deep/theirs").write_text("theirs\n")
    return bench


def test_of_a_new_folder_that_somebody_worked_in_the_edits_stay_and_the_rest_goes(lived_in: Bench) -> None:
    """--keep-edits takes back everything else: one file of a colleague's must not keep a whole deployment there."""
    told = take_back(lived_in.transactions, lived_in.ledger, Wish(lived_in.change("change1"), "undo", {}, KEEP))
    left = {str(path.relative_to(lived_in.tree / "new")) for path in (lived_in.tree / "new").rglob("*")}
    assert left == {"edited", "deep", "deep/theirs"}
    assert {Path(path).name for path in told["edited"]} == {"edited", "theirs"}
    assert {Path(path).read_text() for path in told["saved"]} == {"edited\n", "theirs\n"}


def test_a_new_folder_that_somebody_worked_in_can_be_discarded_and_is_kept_whole_aside(lived_in: Bench) -> None:
    """--discard-edits: a dead end would leave a person without a way to be rid of the change; nothing is lost."""
    (saved,) = take_back(lived_in.transactions, lived_in.ledger, Wish(lived_in.change("change1"), "undo", {}, DISCARD))[
        "saved"
    ]
    assert not (lived_in.tree / "new").exists()
    assert (Path(saved) / "deep/theirs").read_text() == "theirs\n"
    assert (Path(saved) / "edited").read_text() == "edited\n"


def test_what_was_discarded_is_not_applied_as_if_it_had_been_rehearsed(lived_in: Bench) -> None:
    """Law 3: the edits lie in the stage now, where the new bits were; `run --change` must not bring those back."""
    first = lived_in.change("change1")
    take_back(lived_in.transactions, lived_in.ledger, Wish(first, "undo", {}, DISCARD))
    lived_in.transactions.keep("undo", {})
    with pytest.raises(UsageError, match="not what was rehearsed"):
        redo_order(lived_in.ledger, lived_in.change("change1"), "again")


def test_the_ledger_only_grows(bench: Bench) -> None:
    """Law 6: taking back adds a change; not a byte of what the host has promised before is written anew."""
    path, known = Path(os.fsdecode(bench.ledger.path)), b""

    def grown(lines: int) -> None:
        nonlocal known
        now = path.read_bytes()
        assert now.startswith(known)
        assert now.count(b"\n") == lines
        known = now

    order = bench.rehearse(EDITS["write"])
    bench.transactions.apply(order, {}, {})
    grown(2)
    bench.transactions.keep(order.change, {})
    grown(3)
    take_back(bench.transactions, bench.ledger, Wish(bench.change(order.change), "undo", {}))
    grown(5)
    assert [change.id for change in bench.transactions.changes()] == [order.change, "undo"]
