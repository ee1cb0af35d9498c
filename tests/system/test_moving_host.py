"""Laws 4 and 5 against a host that does not hold still: editors, replaced folders, swapped links."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backout.errors import ConflictError, NeedsPersonError
from backout.host import transact
from backout.host.execute import Executor
from backout.host.inplace import alone
from backout.host.plan import Plan
from backout.host.takeback import Wish, take_back
from backout.host.transact import settle
from backout.host.tree import Parents
from backout.model.ledger import KEPT, UNDONE, unfinished
from backout.model.step import Step, Switch, Write
from kit.bench import Bench
from kit.picture import difference, picture

EDITOR = """
import os, sys, time
def replace(count):
    with open(sys.argv[1] + '.new', 'w') as file:
        file.write(f'edit {count}')
    os.rename(sys.argv[1] + '.new', sys.argv[1])
def write(count):
    with open(sys.argv[1], 'w') as file:
        file.write(f'edit {count}')
def replace_folder(count):
    folder, name = os.path.split(sys.argv[1])
    os.mkdir(folder + '.new')
    with open(os.path.join(folder + '.new', name), 'w') as file:
        file.write(f'edit {count}')
    os.rename(folder, f'{folder}.{count}')
    os.rename(folder + '.new', folder)
for line in sys.stdin:
    time.sleep(max(0, float(line)))
    for count in range(100):
        globals()[sys.argv[2]](count)
        if count == 0 and float(line) < 0:
            print('begun', flush=True)
    print('ended', flush=True)
"""
LAST = "edit 99"
BEGUN = -1.0
MOMENTS = (BEGUN, *(turn * 0.0005 for turn in range(24)))
"""Seconds after which the editor begins; BEGUN: it has saved once before anything else is done."""
Race = Callable[[float], contextlib.AbstractContextManager[None]]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give a tree with a file, a folder and a file in it."""
    bench = Bench(tmp_path)
    (bench.tree / "f").write_text("old")
    (bench.tree / "d").mkdir()
    (bench.tree / "d" / "f").write_text("old")
    return bench


@contextlib.contextmanager
def _editor(file: Path, how: str = "replace") -> Iterator[Race]:
    """Give what saves a file again and again beside what is done in it, from a moment on, and has ended then.

    How: `replace` it, `write` it where it lies, or `replace_folder`, the one that it lies in.
    """
    command = [sys.executable, "-IS", "-c", EDITOR, os.fsdecode(file), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as editor:
        stdin, stdout = editor.stdin, editor.stdout
        assert stdin is not None
        assert stdout is not None

        @contextlib.contextmanager
        def race(after_s: float) -> Iterator[None]:
            stdin.write(f"{after_s}\n")
            stdin.flush()
            if after_s == BEGUN:
                assert stdout.readline() == "begun\n"
            try:
                yield
            finally:
                assert stdout.readline() == "ended\n"

        yield race


def test_no_edit_is_lost_to_a_switch(bench: Bench) -> None:
    """Traps C2: an editor saves in a loop, at any moment of the apply; a switch puts aside what it meant to."""
    file = bench.tree / "f"
    with _editor(file) as race:
        for moment in MOMENTS:
            file.write_text("old")
            order = bench.rehearse(lambda root: (root / "f").write_text("ours") and None)
            applied = False
            with race(moment), contextlib.suppress(ConflictError):
                bench.apply(order)
                applied = True
            (step,) = order.plan.steps
            assert isinstance(step, Switch)
            assert not applied or Path(os.fsdecode(step.staged)).read_text() == "old"
            assert file.read_text() == LAST


def test_no_edit_is_lost_to_a_back_out(bench: Bench) -> None:
    """Traps C2, for the way back: the change is undone or stands whole, and the editor's last word is live."""
    file = bench.tree / "f"
    seen = set()
    with _editor(file) as race:
        for moment in MOMENTS:
            file.write_text("old")
            order = bench.rehearse(lambda root: (root / "f").write_text("ours") and None)
            bench.transactions.apply(order, {}, {})
            with race(moment), contextlib.suppress(NeedsPersonError):
                bench.transactions.back_out(bench.change(order.change))
            seen.add(bench.change(order.change).state)
            assert file.read_text() == LAST
    assert seen <= {UNDONE, KEPT}
    assert KEPT in seen, "no back-out met the editor: the test shows nothing"


def _write_f(root: Path) -> None:
    (root / "d/f").write_text("ours")


def _remove_f(root: Path) -> None:
    (root / "d/f").unlink()


def _add_f(root: Path) -> None:
    (root / "d/f").write_text("ours")


STEPS = {"switch": _write_f, "remove": _remove_f, "add": _add_f, "write": _write_f}
RACES = [
    *((step, "replace") for step in STEPS),
    *((step, "replace_folder") for step in STEPS),
    ("write", "write"),
]


def _prepared(bench: Bench, step: str) -> Path:
    """Make the tree in which a change of d/f is a step of that kind."""
    shutil.rmtree(bench.tree)
    (bench.tree / "d").mkdir(parents=True)
    if step != "add":
        (bench.tree / "d/f").write_text("old")
    if step == "write":
        os.link(bench.tree / "d/f", bench.tree / "twin")
    return bench.tree / "d/f"


def _is_whole(bench: Bench) -> bool:
    """Tell that no change was left half-way, and nobody's edit put aside for ours."""
    changes = bench.transactions.changes()
    return not unfinished(changes) and not any("found" in change.body for change in changes)


@pytest.mark.parametrize(("step", "how"), RACES)
def test_no_edit_is_lost_to_an_apply_whatever_its_step(bench: Bench, step: str, how: str) -> None:
    """Law 4: new files, removals and writes in place against every kind of editor; its last word is live."""
    seen = set()
    with _editor(bench.tree / "d/f", how) as race:
        for moment in MOMENTS:
            file = _prepared(bench, step)
            order = bench.rehearse(STEPS[step])
            assert [isinstance(planned, Write) for planned in order.plan.steps] == [step == "write"]
            with race(moment), contextlib.suppress(ConflictError):
                bench.apply(order)
            seen.add(any(change.id == order.change and change.stands for change in bench.transactions.changes()))
            assert file.read_text() == LAST
            assert _is_whole(bench)
    assert False in seen, "no apply met the editor: the test shows nothing"


@pytest.mark.parametrize(("step", "how"), RACES)
def test_no_edit_is_lost_to_a_back_whatever_its_step(bench: Bench, step: str, how: str) -> None:
    """Law 4 for undo: the change is taken back or stands; the editor's last word is live either way."""
    seen = set()
    with _editor(bench.tree / "d/f", how) as race:
        for turn, moment in enumerate(MOMENTS):
            file = _prepared(bench, step)
            order = bench.rehearse(STEPS[step])
            bench.apply(order)
            wish = Wish(bench.change(order.change), f"undo{turn}", {})
            with race(moment), contextlib.suppress(ConflictError):
                take_back(bench.transactions, bench.ledger, wish)
                bench.transactions.keep(wish.new, {})
            seen.add(bench.change(order.change).stands)
            assert file.read_text() == LAST
            assert _is_whole(bench)
    assert True in seen, "no back met the editor: the test shows nothing"


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


def _replace_g(folder: Path) -> None:
    (folder / "new").write_text("edited")
    (folder / "new").rename(folder / "deeper/g")


def _file_for_folder(root: Path) -> None:
    shutil.rmtree(root / "d")
    (root / "d").write_text("ours")


INSIDE: dict[str, Callable[[Path], object]] = {
    "written": lambda folder: (folder / "deeper/g").write_text("edited"),
    "replaced": _replace_g,
    "added": lambda folder: (folder / "deeper/new").write_text("edited"),
    "removed": lambda folder: (folder / "deeper/g").unlink(),
    "opened to all": lambda folder: (folder / "deeper/g").chmod(0o666),
}
TAKEN_AWAY: dict[str, Callable[[Path], object]] = {
    "removed": lambda root: shutil.rmtree(root / "d"),
    "replaced": _file_for_folder,
}


@pytest.mark.parametrize("edit", INSIDE)
@pytest.mark.parametrize("taken", TAKEN_AWAY)
def test_an_edit_in_a_folder_just_before_it_is_switched_is_a_conflict(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, taken: str, edit: str
) -> None:
    """Law 4: a folder's own inode says nothing of what lies in it, so what was put aside is looked through."""
    (bench.tree / "d/deeper").mkdir()
    (bench.tree / "d/deeper/g").write_text("old")
    order = bench.rehearse(TAKEN_AWAY[taken])
    perform, edited = Executor.perform, []

    def hindered(self: Executor, step: Step) -> None:
        INSIDE[edit](bench.tree / "d")
        edited.append(picture(bench.tree))
        perform(self, step)

    monkeypatch.setattr(Executor, "perform", hindered)
    with pytest.raises(ConflictError, match="at the moment of the switch"):
        bench.apply(order)
    assert difference(picture(bench.tree), edited[0]) == {}
    assert [change.state for change in bench.transactions.changes()] == [UNDONE]


def test_a_folder_that_shares_a_file_with_another_step_is_taken_away(bench: Bench) -> None:
    """What our own steps did to a file with several names is no edit of somebody's."""
    os.link(bench.tree / "d/f", bench.tree / "second")
    os.link(bench.tree / "d/f", bench.tree / "third")

    def edit(root: Path) -> None:
        (root / "second").unlink()
        (root / "third").write_text("ours")
        shutil.rmtree(root / "d")

    bench.apply(bench.rehearse(edit))
    assert sorted(path.name for path in bench.tree.iterdir()) == ["f", "third"]
    assert (bench.tree / "third").read_text() == "ours"


@pytest.mark.parametrize("how", ["write", "replace"])
def test_an_edit_just_before_a_write_in_place_is_a_conflict(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Law 4: between the look and the write nothing is exchanged that could tell; so the look is repeated, alone."""
    _twins(bench)
    order = bench.rehearse(lambda root: (root / "one").write_text("ours") and None)
    perform = Executor.perform

    def hindered(self: Executor, step: Step) -> None:
        edited = bench.tree / ("one" if how == "write" else "one.new")
        edited.write_text("somebody's")
        edited.rename(bench.tree / "one")
        perform(self, step)

    monkeypatch.setattr(Executor, "perform", hindered)
    with pytest.raises(ConflictError, match="at the moment of the write"):
        bench.apply(order)
    assert (bench.tree / "one").read_text() == "somebody's"
    assert (bench.tree / "two").read_text() == ("somebody's" if how == "write" else "old")


def test_a_folder_that_goes_away_before_the_copy_is_a_conflict(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law 4: exit 6 and not 1, since it is to be rehearsed again; what stands there now stays."""
    os.link(bench.tree / "d/f", bench.tree / "twin")
    order = bench.rehearse(lambda root: (root / "d/f").write_text("ours") and None)

    def late(plan: Plan) -> Plan:
        os.rename(bench.tree / "d", bench.tree / "aside")
        return settle(plan)

    monkeypatch.setattr(transact, "settle", late)
    with pytest.raises(ConflictError, match="the folder it lies in is gone"):
        bench.apply(order)
    assert (bench.tree / "aside/f").read_text() == (bench.tree / "twin").read_text() == "old"


def test_whoever_opens_a_file_that_is_written_in_place_waits(bench: Bench) -> None:
    """Law 4: so no editor's bytes come between the last look and ours, nor among ours."""
    parents, path = Parents(), os.fsencode(bench.tree / "f")
    opening = [sys.executable, "-IS", "-c", f"import os; os.open({path!r}, os.O_WRONLY | os.O_NONBLOCK)"]
    with alone(parents.name(path)):
        waits = subprocess.run(opening, capture_output=True, text=True, check=False)
    parents.close()
    assert "BlockingIOError" in waits.stderr
    assert subprocess.run(opening, check=False).returncode == 0


def test_a_file_with_more_names_that_a_process_writes_is_not_written_under_it(bench: Bench) -> None:
    """Law 4, traps C6: two writers in one file leave what neither meant; the message names the process."""
    _twins(bench)
    order = bench.rehearse(lambda root: (root / "one").write_text("ours") and None)
    command = [
        sys.executable,
        "-IS",
        "-c",
        f"file = open({str(bench.tree / 'two')!r}, 'a'); print(flush=True); input()",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(ConflictError, match=f"process {writer.pid} .* open for writing"):
            bench.apply(order)
        writer.communicate(b"\n")
    assert (bench.tree / "two").read_text() == "old"


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
