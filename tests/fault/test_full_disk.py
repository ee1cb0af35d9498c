"""A file system that is really full, at each moment of a change: refused or taken back, said, and mended by room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from backout.errors import BackoutError, FailedError
from backout.host.execute import Executor
from backout.host.takeback import Wish, take_back
from backout.model.ledger import UNDONE
from backout.model.step import Step
from kit.bench import Bench, on_own_disk
from kit.cli import Backout
from kit.picture import difference, picture

SIZE_KIB, PAGE = 4096, os.sysconf("SC_PAGE_SIZE")
LARGE = 1 << 20
SAID = "No space left on device"


class _CrashError(BaseException):
    """What no code catches, as a SIGKILL."""


class Disk:
    """A workbench whose tree and state lie on a small file system of their own."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder / "disk")
        self.ballast = folder / "disk/ballast"
        tree = self.bench.tree
        (tree / "f").write_text("old")
        (tree / "gone").write_text("gone")
        (tree / "one").write_text("shared")
        os.link(tree / "one", tree / "two")
        self.old = picture(tree)
        self.order = self.bench.rehearse(_edit)

    def fill(self, leave: int = 0) -> None:
        """Leave so many bytes, and no more."""
        with self.ballast.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * PAGE)
            except OSError:
                file.truncate(max(0, file.tell() - leave))

    def empty(self) -> None:
        """Make room again."""
        self.ballast.unlink()

    def is_old(self) -> bool:
        """Tell whether every byte and time is as before the change."""
        return difference(picture(self.bench.tree), self.old) == {}

    def take_back(self) -> None:
        """Take the change back."""
        bench = self.bench
        take_back(bench.transactions, bench.ledger, Wish(bench.change("change1"), f"undo{bench.count}", {}))
        bench.count += 1


def _edit(tree: Path) -> None:
    (tree / "f").write_text("new")
    (tree / "added").write_text("new")
    (tree / "gone").unlink()
    (tree / "one").write_text("both" * (LARGE // 4))


def _on_small_disk(folder: Path, act: Callable[[Disk], None]) -> None:
    """Do something on a small file system in a mount namespace that ends with it."""
    on_own_disk(folder / "disk", SIZE_KIB, lambda: act(Disk(folder)))


def test_an_apply_on_a_full_disk_is_refused_and_goes_through_once_there_is_room(tmp_path: Path) -> None:
    """Laws 5 and 7: nothing was changed, the message names the space, and nothing of the change was used up."""

    def act(disk: Disk) -> None:
        disk.fill()
        disk.bench.ledger.lock()
        with pytest.raises(FailedError, match=SAID) as told:
            disk.bench.apply(disk.order)
        assert told.value.state == "Nothing was changed."
        assert disk.is_old()
        disk.empty()
        disk.bench.apply(disk.order)
        assert not (disk.bench.tree / "gone").exists()
        disk.take_back()
        assert disk.is_old()

    _on_small_disk(tmp_path, act)


def test_a_file_that_only_half_fits_is_as_before_at_once(tmp_path: Path) -> None:
    """Law 5, traps C5: the half that was written in place is no edit of anybody's, and needs no room to be kept."""

    def act(disk: Disk) -> None:
        disk.fill(leave=LARGE // 2)
        with pytest.raises(FailedError, match=SAID) as told:
            disk.bench.apply(disk.order)
        assert told.value.state == "Everything is as it was before."
        assert disk.is_old()
        assert disk.bench.change("change1").state == UNDONE

    _on_small_disk(tmp_path, act)


def test_a_back_on_a_full_disk_leaves_the_change_standing_until_there_is_room(tmp_path: Path) -> None:
    """Laws 5 and 7 for `back`: all of the change stands meanwhile, and its pre-images with it."""

    def act(disk: Disk) -> None:
        disk.bench.apply(disk.order)
        new = picture(disk.bench.tree)
        disk.fill()
        with pytest.raises(FailedError, match=SAID) as told:
            disk.take_back()
        assert told.value.state == "Nothing was changed."
        assert difference(picture(disk.bench.tree), new) == {}
        assert disk.bench.change("change1").stands
        disk.empty()
        disk.take_back()
        assert disk.is_old()

    _on_small_disk(tmp_path, act)


@pytest.mark.parametrize(("done", "frees_room"), [(1, False), (2, False), (3, True), (4, True)])
def test_a_recovery_on_a_full_disk_brings_all_back_and_is_recorded_once_there_is_room(
    tmp_path: Path, done: int, frees_room: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law 5: the files need no room to come back; what cannot be recorded stays unfinished and is said.

    Once the large file is written, its way back frees the room for the record.
    """
    perform = Executor.perform

    def crashing(self: Executor, step: Step) -> None:
        perform(self, step)
        if len(self.begun) == done:
            raise _CrashError

    def act(disk: Disk) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Executor, "perform", crashing)
            with pytest.raises(_CrashError):
                disk.bench.transactions.apply(disk.order, {"why": "x" * (PAGE - 20)}, {})
        disk.bench.transactions.keep("other", {"why": "x" * _to_the_end_of_its_page(disk.bench)})
        disk.fill()
        disk.bench.ledger.lock()
        if not frees_room:
            with pytest.raises(BackoutError, match=SAID) as told:
                list(disk.bench.transactions.recover(lambda _: True))
            assert "backout recover" in told.value.next
            assert disk.is_old()
            disk.empty()
        assert [state for _, state in disk.bench.transactions.recover(lambda _: True)] == [UNDONE]
        assert disk.is_old()

    _on_small_disk(tmp_path, act)


def _to_the_end_of_its_page(bench: Bench) -> int:
    """Give the length of a text with which one more entry fills the ledger's last page but for a few bytes."""
    ledger = Path(os.fsdecode(bench.ledger.path))
    before = ledger.stat().st_size
    bench.transactions.keep("other", {"why": ""})
    after = ledger.stat().st_size
    return (PAGE - 8 - (2 * after - before)) % PAGE


def test_the_command_line_on_a_full_disk_says_so_and_works_again_with_room(tmp_path: Path) -> None:
    """Laws 5 and 7, as a person meets them: `run` and `back` on a full disk, then with room again."""
    backout = Backout(tmp_path)
    disk = tmp_path / "disk"
    disk.mkdir()
    backout.environ["BACKOUT_STATE"] = str(disk / "state")
    script = """
        mount -t tmpfs -o size=8m none "$1" && cd "$1" && shift && mkdir work && cd work && echo 1 > f
        fill() { cat /dev/zero > ../ballast 2>/dev/null || true; }
        "$@" run --network none --yes -- 'echo 2 > f; echo 2 > g'; echo "run: $? $(cat f)"
        fill; "$@" back; echo "back, full: $? $(cat f)"
        rm ../ballast; "$@" back; echo "back: $? $(cat f) $(ls)"
        fill; "$@" run --network none --yes -- 'rm f'; echo "run, full: $? $(cat f)"
        rm ../ballast; "$@" run --network none --yes -- 'rm f'; echo "run: $? $(ls)"
    """
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", str(disk), *backout.argv()],
        env=backout.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert "Traceback" not in done.stderr
    told = [line for line in done.stdout.splitlines() if line.startswith(("run", "back"))]
    assert told == ["run: 0 2", "back, full: 1 2", "back: 0 1 f", "run, full: 1 1", "run: 0 "], done.stderr
    assert done.stderr.count(SAID) >= 1
