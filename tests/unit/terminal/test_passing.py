"""Where there is no terminal a program's output goes where it would go without us, and is heard."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from backout.terminal.passing import pass_on


def run(folder: Path, line: str) -> tuple[int, bytes, bytes, bytes]:
    """Run a shell's line; gives its exit code, what went to each end, and what was heard."""
    heard = bytearray()
    with (folder / "out").open("wb", 0) as out, (folder / "err").open("wb", 0) as err:
        code = pass_on(["sh", "-c", line], os.environ, heard.extend, (out.fileno(), err.fileno()))
    return code, (folder / "out").read_bytes(), (folder / "err").read_bytes(), bytes(heard)


def test_each_end_gets_its_own_and_both_are_heard_in_their_order(tmp_path: Path) -> None:
    """A script that reads our output must not find errors in it."""
    assert run(tmp_path, "echo one; sleep 0.05; echo two >&2; exit 3") == (3, b"one\n", b"two\n", b"one\ntwo\n")


def test_a_program_that_closes_its_ends_is_still_waited_for(tmp_path: Path) -> None:
    """What it comes to is known at its end alone."""
    assert run(tmp_path, "exec >&- 2>&-; sleep 0.05; exit 4")[0] == 4


def test_what_is_left_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    """A daemon that is started holds its output open for good."""
    code, out, _, _ = run(tmp_path, "sleep 60 & echo $!")
    os.kill(int(out), signal.SIGKILL)
    assert code == 0


def test_a_program_nobody_reads_is_told_as_it_would_be_without_us() -> None:
    """`backout do -- yes | head` ends."""
    reads, writes = os.pipe()
    os.close(reads)
    assert pass_on(["yes"], os.environ, lambda _: None, (writes, writes)) == 128 + signal.SIGPIPE
    os.close(writes)


def test_being_ended_means_the_program(tmp_path: Path) -> None:
    """Its own last words are still passed on."""
    line = 'trap "echo bye; exit 7" TERM; echo ready; while :; do sleep 0.02; done'

    def end() -> None:
        while b"ready" not in (tmp_path / "out").read_bytes():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    (tmp_path / "out").touch()
    thread = threading.Thread(target=end)
    thread.start()
    code, out, _, _ = run(tmp_path, line)
    thread.join()
    assert (code, out) == (7, b"ready\nbye\n")


def test_a_program_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    """It is said by name."""
    with pytest.raises(FileNotFoundError):
        pass_on([str(tmp_path / "none")], os.environ, lambda _: None)
