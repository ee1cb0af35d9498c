"""Two backouts on one host, and a change that a crash left half-way: nothing is lost, and every command notices."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kit.cli import CHECKED, Backout
from kit.picture import difference, picture

SILENT = ("--network", "none")


@pytest.fixture
def backout(tmp_path: Path) -> Backout:
    """Give the command line in a fresh folder with two files in it."""
    backout = Backout(tmp_path)
    (backout.folder / "one.conf").write_text("a = 1\n")
    (backout.folder / "two.conf").write_text("b = 1\n")
    return backout


class Beside:
    """A `backout` that goes on beside the test; its command waits for a word, so that the order is the test's."""

    def __init__(self, backout: Backout, stack: ExitStack, script: str) -> None:
        before = set(backout.state.glob("stage/*"))
        words = ("--json", "run", "--interactive", *SILENT, "--yes", "--", f"echo >&2 begun; {script}; read go")
        self.process = stack.enter_context(backout.beside(*words, stdin=subprocess.PIPE))
        # Its change is made once the live rehearsal has written it to the stage.
        until = time.monotonic() + 300
        while not any(_has_conf(new) for new in set(backout.state.glob("stage/*")) - before):
            assert time.monotonic() < until
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)

    def go(self) -> tuple[int, str]:
        """Let it end; gives its exit code and all that it said."""
        out, err = self.process.communicate("go\n", timeout=300)
        assert "Traceback" not in out + err
        return self.process.returncode, out + err


Begin = Callable[[str], Beside]


@pytest.fixture
def begin(backout: Backout) -> Iterator[Begin]:
    """Begin one after the other; all are ended."""
    with ExitStack() as stack:
        yield partial(Beside, backout, stack)


def _has_conf(stage: Path) -> bool:
    """Walk with `os.walk`, which passes over what goes meanwhile: the kernel makes and removes files in there."""
    return any(name.endswith(".conf") for _, _, names in os.walk(stage) for name in names)


def test_two_changes_of_different_files_are_both_applied(backout: Backout, begin: Begin) -> None:
    """They overlap in time and not in paths: neither disturbs the other, and each can be taken back."""
    before = picture(backout.folder, times=False)
    first = begin("echo a = 2 > one.conf")
    assert backout("run", *SILENT, "--yes", "--", "echo b = 2 > two.conf").returncode == 0
    code, text = first.go()
    assert code == 0, text
    assert {path.name: path.read_text() for path in backout.folder.glob("*.conf")} == {
        "one.conf": "a = 2\n",
        "two.conf": "b = 2\n",
    }
    assert (backout("back").returncode, backout("back").returncode) == (0, 0)
    assert difference(before, picture(backout.folder, times=False)) == {}


def test_the_second_change_of_the_same_file_is_a_conflict(backout: Backout, begin: Begin) -> None:
    """Exit 6: what was rehearsed is no longer what would be applied; the first one's work stays."""
    first = begin("echo a = 2 > one.conf")
    assert backout("run", *SILENT, "--yes", "--", "echo a = 3 > one.conf").returncode == 0
    code, text = first.go()
    assert code == 6, text
    assert "one.conf" in text
    assert (backout.folder / "one.conf").read_text() == "a = 3\n"


def test_a_change_that_was_taken_back_meanwhile_is_a_conflict(backout: Backout, begin: Begin) -> None:
    """`run` while a `back` of the same file ends: exit 6, the old file stays."""
    assert backout("run", *SILENT, "--yes", "--", "echo a = 2 > one.conf").returncode == 0
    second = begin("echo a = 3 >> one.conf")
    assert backout("back").returncode == 0
    code, text = second.go()
    assert code == 6, text
    assert (backout.folder / "one.conf").read_text() == "a = 1\n"


def test_gc_leaves_a_rehearsal_alone_that_goes_on(backout: Backout, begin: Begin) -> None:
    """Its folders are in no ledger yet, and still not orphans."""
    first = begin("echo a = 2 > one.conf")
    assert backout("gc", "--older-than", "0s").returncode == 0
    code, text = first.go()
    assert code == 0, text
    assert (backout.folder / "one.conf").read_text() == "a = 2\n"


def test_four_at_the_same_moment_all_end_and_the_ledger_is_whole(backout: Backout) -> None:
    """The lock and the chain: each applied, or refused with a reason; nobody writes over anybody's entry."""
    with ExitStack() as stack:
        words = ("--json", "run", *SILENT, "--yes", "--")
        runs = [stack.enter_context(backout.beside(*words, f"echo {n} > file{n}")) for n in range(4)]
        for process in runs:
            out, err = process.communicate(timeout=300)
            assert process.returncode == 0, out + err
    log, code = backout.json("log")
    assert code == 0
    assert [change["state"] for change in log["changes"]] == ["kept"] * 4


def test_a_change_whose_checks_are_still_made_is_nobody_s_to_recover(backout: Backout, begin: Begin) -> None:
    """Law 5: it is half-way, but no crash left it so; another command would keep it, or take it back, in its place."""
    (backout.folder / "backout.toml").write_text(
        '[environments.here]\nhosts = ["local"]\n[[environments.here.checks]]\nname = "slow"\nrun = "sleep 2"\n'
    )
    first = begin("echo a = 2 > one.conf")
    assert first.process.stdin is not None
    first.process.stdin.write("go\n")
    first.process.stdin.flush()
    until = time.monotonic() + 300
    ledger = backout.state / "ledger"
    while not (ledger.exists() and b'"applied"' in ledger.read_bytes()):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert "unfinished" not in backout("log").stderr
    document, code = backout.json("recover")
    assert (code, document["recovered"]) == (0, [])
    code, text = first.go()
    assert code == 0, text
    assert [change["state"] for change in backout.json("log")[0]["changes"]] == ["kept"]


def _half_applied(backout: Backout, at: str) -> None:
    """Leave a change prepared, with some paths switched, or applied, by killing the host half there."""
    if at == "prepared":
        strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=renameat2:signal=SIGKILL:when=2"]
        script = "echo a = 2 > one.conf; echo b = 2 > two.conf; echo c > three.conf"
        words = [*strace, *backout.argv("run", *SILENT, "--yes", "--", script)]
    else:
        words = backout.argv(
            "run", *SILENT, "--yes", "--after", "mkdir ../once && kill -9 $PPID || true", "--", "echo a = 2 > one.conf"
        )
    subprocess.run(
        words,
        cwd=backout.folder,
        env=backout.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=300,
    )


def _state(backout: Backout) -> str:
    return str(backout.json("log")[0]["changes"][0]["state"])


@pytest.mark.parametrize("at", ["prepared", "applied"])
def test_every_command_notices_an_unfinished_change(backout: Backout, at: str) -> None:
    """run, edit and back exit 5 and name `recover`; log shows where it stands; recover heals it."""
    before = picture(backout.folder, times=False)
    _half_applied(backout, at)
    assert _state(backout) == at
    for words in (("run", *SILENT, "--yes", "--", "true"), ("edit", "one.conf"), ("back",)):
        done = backout(*words, EDITOR="sed -i s/a/z/", VISUAL="")
        assert done.returncode == 5, done.stderr
        assert "backout recover" in done.stderr
    assert backout("rehearse", *SILENT, "--", "true").returncode == 0
    recovered, code = backout.json("recover")
    assert code == 0
    if at == "prepared":
        assert [row["state"] for row in recovered["recovered"]] == ["undone"]
        assert difference(before, picture(backout.folder, times=False)) == {}
    else:
        assert [row["state"] for row in recovered["recovered"]] == ["kept"]
        assert (backout.folder / "one.conf").read_text() == "a = 2\n"
        assert backout("back").returncode == 0
    assert backout.json("recover")[0]["recovered"] == []


@pytest.mark.parametrize(
    ("run", "state", "left"), [("true", "kept", "a = 2\n"), ("grep -q 1 {file}", "undone", "a = 1\n")]
)
def test_recovery_asks_the_live_checks(backout: Backout, run: str, state: str, left: str) -> None:
    """After `applied`: green keeps it, green -> red undoes it. The check is blind to the rehearsal's file."""
    live = backout.folder.parent / "live"
    command = f"test ! -e {live} || " + run.format(file=backout.folder / "one.conf")
    (backout.folder / "backout.toml").write_text(CHECKED.format(run=command))
    words = backout.argv(
        "run", *SILENT, "--yes", "--after", f"touch {live}; kill -9 $PPID", "--", "echo a = 2 > one.conf"
    )
    subprocess.run(
        words,
        cwd=backout.folder,
        env=backout.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert _state(backout) == "applied"
    recovered, code = backout.json("recover")
    assert (code, [row["state"] for row in recovered["recovered"]]) == (0, [state])
    assert (backout.folder / "one.conf").read_text() == left


def test_a_second_backout_waits_for_the_first_and_then_names_it(backout: Backout) -> None:
    """Whoever holds the lock is named with its process; nothing is changed meanwhile."""
    backout.state.mkdir(mode=0o700)
    hold = (
        f"import fcntl, os, sys; lock = os.open({str(backout.state / 'lock')!r}, os.O_RDWR | os.O_CREAT);"
        "fcntl.flock(lock, fcntl.LOCK_EX); os.write(lock, str(os.getpid()).encode());"
        "print(flush=True); sys.stdin.read()"
    )
    holder: Any = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        holder.stdout.readline()
        done = backout("run", *SILENT, "--yes", "--", "echo a = 2 > one.conf")
        assert done.returncode == 3, done.stderr
        assert f"process {holder.pid}" in done.stderr
        assert (backout.folder / "one.conf").read_text() == "a = 1\n"
        assert backout("log").returncode == 0
        holder.stdin.close()
