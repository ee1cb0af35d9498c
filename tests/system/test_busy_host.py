"""A host that goes on working while a command is rehearsed, applied and taken back: its logs and open files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kit.busy import again
from kit.cli import Backout

NO_NETWORK = ("--network", "none")
LOGGER = """
log = None
def opened(*_):
    global log
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
signal.signal(signal.SIGHUP, opened)
opened()
def turn(count):
    os.write(log, b'line %d\\n' % count)
def last():
    return os.fstat(log).st_ino
"""
"""Appends numbered lines through one descriptor, as a service does; opens its log anew when it is told to."""


@pytest.fixture
def log(backout: Backout) -> Path:
    """Name a log that is yet to be begun."""
    (backout.folder / "log").mkdir()
    return backout.folder / "log/app.log"


def lines(*logs: Path) -> tuple[list[int], int]:
    """Give the numbers that a logger wrote, in the order in which they stand, and how many lines are ours."""
    found = [line for log in logs for line in log.read_text().splitlines()]
    return [int(line.removeprefix("line ")) for line in found if line != "ours"], found.count("ours")


LOGGED = {
    "left alone": ("sleep 0.1", 0),
    "appended to": ("echo ours >> log/app.log; sleep 0.1; echo ours >> log/app.log", 2),
    "held open": ("exec 9>>log/app.log; echo ours >&9; sleep 0.1; echo ours >&9", 2),
    "opened for nothing": ("exec 9>>log/app.log; sleep 0.1", 0),
}


@pytest.mark.parametrize("how", LOGGED)
def test_a_log_that_a_service_writes_all_the_time_loses_no_line(backout: Backout, log: Path, how: str) -> None:
    """Traps C6: its descriptor leads to the live file at every moment, and our lines stand among its own, once."""
    command, ours = LOGGED[how]
    with again(LOGGER, log) as logger:
        words = (*NO_NETWORK, "--", f"echo workers = 4 > app.conf; {command}")
        assert backout("rehearse", *words).returncode == 0
        done = backout("run", "--yes", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (backout.folder / "app.conf").read_text() == "workers = 4\n"
        undone = backout("back")
        assert undone.returncode == 0, undone.stdout + undone.stderr
        count, inode = logger.end()
    assert (backout.folder / "app.conf").read_text() == "workers = 2\n"
    assert log.stat().st_ino == inode
    assert lines(log) == ([*range(1, count + 1)], ours)


ROTATE = "mv log/app.log log/app.log.1; : > log/app.log"


def test_a_log_is_not_rotated_under_its_writer(backout: Backout, log: Path) -> None:
    """No signal leaves a rehearsal, so the writer would go on in a file that nobody sees; it is named instead."""
    with again(LOGGER, log) as logger:
        document, code = backout.json("run", "--yes", *NO_NETWORK, "--", f"{ROTATE}; kill -HUP {logger.pid} || true")
        count, inode = logger.end()
    assert code == 3
    assert f"process {logger.pid}" in document["verdict"]["reasons"][0]["what"]
    assert not log.with_name("app.log.1").exists()
    assert log.stat().st_ino == inode
    assert lines(log) == ([*range(1, count + 1)], 0)


def test_a_log_without_a_writer_is_rotated(backout: Backout, log: Path) -> None:
    """Then the rotation is a change like any other, and goes back like any other."""
    log.write_text("line 1\n")
    assert backout("run", "--yes", *NO_NETWORK, "--", ROTATE).returncode == 0
    assert (log.read_text(), log.with_name("app.log.1").read_text()) == ("", "line 1\n")
    assert backout("back").returncode == 0
    assert log.read_text() == "line 1\n"


def test_a_log_that_the_host_rotates_meanwhile_gets_our_lines(backout: Backout, log: Path) -> None:
    """Between the look and the apply logrotate may come by: no line is lost, the service's nor ours."""
    with again(LOGGER, log) as logger:
        refused, code = backout.json("run", *NO_NETWORK, "--", "echo ours >> log/app.log; echo workers = 4 > app.conf")
        assert code == 3
        subprocess.run(["sh", "-c", f"{ROTATE}; kill -HUP {logger.pid}"], cwd=backout.folder, check=True)
        document, code = backout.json("run", "--change", refused["change"], "--yes")
        assert code == 0, document
        count, inode = logger.end()
    assert log.stat().st_ino == inode
    assert lines(log.with_name("app.log.1"), log) == ([*range(1, count + 1)], 1)


def test_a_log_that_the_host_rotates_during_a_rehearsal_loses_nothing_of_the_service(
    backout: Backout, log: Path
) -> None:
    """What the command wrote to is gone then, and where its lines would belong nobody knows: they are left out."""
    with again(LOGGER, log) as logger:
        rotate = ["sh", "-c", f"{ROTATE}; kill -HUP {logger.pid}"]
        done = backout.meanwhile(
            lambda: subprocess.run(rotate, cwd=backout.folder, check=True),
            "echo ours >> log/app.log; echo workers = 4 > app.conf",
            *("run", "--yes", *NO_NETWORK),
        )
        assert done.returncode == 0, done.stdout
        count, inode = logger.end()
    assert log.stat().st_ino == inode
    assert lines(log.with_name("app.log.1"), log) == ([*range(1, count + 1)], 0)


HOLDER = """
import fcntl, mmap
file = open(sys.argv[1], sys.argv[2])
if sys.argv[3] == 'lock':
    fcntl.lockf(file, fcntl.LOCK_EX)
if sys.argv[3] == 'flock':
    fcntl.flock(file, fcntl.LOCK_SH)
if sys.argv[3] == 'map':
    memory = mmap.mmap(file.fileno(), 0)
held = os.fstat(file.fileno()).st_ino
if sys.argv[3] == 'only the map':
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    assert libc.mmap(None, 4096, 3, 1, file.fileno(), 0) not in (None, 2 ** 64 - 1)
    file.close()
def turn(count):
    pass
def last():
    return [held, None if file.closed or file.mode in 'aw' else os.pread(file.fileno(), 100, 0).decode()]
"""
"""Holds a file open in some way, and does no more."""


@pytest.mark.parametrize(
    ("mode", "also"), [("a", ""), ("r+", ""), ("r+", "map"), ("r+", "only the map"), ("r+", "lock"), ("r", "flock")]
)
@pytest.mark.parametrize("command", ["echo workers = 4 > app.conf", "rm app.conf", "rm -r ../work/etc"])
def test_what_a_process_can_write_to_is_not_taken_from_it(backout: Backout, command: str, mode: str, also: str) -> None:
    """Traps C6: a descriptor, a mapping or a lock would be left on a file that nobody sees; a folder takes it along."""
    (backout.folder / "etc").mkdir()
    held = backout.folder / "app.conf"
    if "etc" in command:
        held = held.rename(backout.folder / "etc/app.conf")
    inode = held.stat().st_ino
    with again(HOLDER, held, mode, also) as holder:
        document, code = backout.json("run", "--yes", *NO_NETWORK, "--", command)
        assert code == 3, document
        assert f"process {holder.pid}" in document["verdict"]["reasons"][0]["what"]
    assert (held.stat().st_ino, held.read_text()) == (inode, "workers = 2\n")


@pytest.mark.parametrize("command", ["echo workers = 4 > app.conf", "rm app.conf"])
def test_whoever_reads_a_file_reads_on_in_what_it_opened(backout: Backout, command: str) -> None:
    """As with any program that saves by renaming: the descriptor stays valid, on the old content."""
    inode = (backout.folder / "app.conf").stat().st_ino
    with again(HOLDER, backout.folder / "app.conf", "r", "") as holder:
        assert backout("run", "--yes", *NO_NETWORK, "--", command).returncode == 0
        assert holder.end()[1] == [inode, "workers = 2\n"]


def test_a_file_with_more_names_keeps_its_inode_under_its_reader(backout: Backout) -> None:
    """Traps C5: it is written in place, so whoever has it open sees the new content, as after a bare write."""
    os.link(backout.folder / "app.conf", backout.folder / "second")
    inode = (backout.folder / "app.conf").stat().st_ino
    with again(HOLDER, backout.folder / "app.conf", "r", "") as holder:
        assert backout("run", "--yes", *NO_NETWORK, "--", "echo workers = 4 > app.conf").returncode == 0
        assert holder.end()[1] == [inode, "workers = 4\n"]
    assert (backout.folder / "second").stat().st_ino == inode


LOCKED = "flock -n 9 || exit 9; sleep 0.1"
LOCKER = """
import fcntl
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
def turn(count):
    pass
def last():
    return subprocess.run(['flock', '-n', sys.argv[1], 'true']).returncode
"""


def test_a_lock_that_a_service_holds_is_held_afterwards(backout: Backout) -> None:
    """Traps C6, C11: a lock file that is put in another's place lets a second process in beside the first."""
    lock = backout.folder / "app.conf"
    with again(LOCKER, lock) as locker:
        assert backout("run", "--yes", *NO_NETWORK, "--", f"exec 9<app.conf; {LOCKED}; echo 1 > f").returncode == 0
        assert locker.end()[1] == 1


EDITOR = """
def turn(count):
    global text
    text = f'edit {count}'
    with open(sys.argv[1], 'w') as file:
        file.write(text)
def last():
    return text
"""


def test_an_edit_during_a_refused_rehearsal_is_not_written_over_later(backout: Backout) -> None:
    """Law 4: what was rehearsed on a host that has gone is not applied, however much later somebody agrees."""
    with again(EDITOR, backout.folder / "app.conf") as editor:
        refused, code = backout.json("run", *NO_NETWORK, "--", "sleep 0.2; echo workers = 4 > app.conf")
        assert code == 3
        _, text = editor.end()
    document, code = backout.json("run", "--change", refused["change"], "--yes")
    assert code == 6
    assert "app.conf: it was changed while the command was rehearsed" in document["what"]
    assert (backout.folder / "app.conf").read_text() == text
