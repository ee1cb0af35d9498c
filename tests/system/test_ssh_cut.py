"""A link that is cut, at any moment: the host's ledger is in charge, and the next contact finishes or takes back."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from kit.sshd import Host, World, until, world

HERE = ("-e", "production")
CONFIG = """
[environments.production]
hosts = ["web1"]
"""
OLD = {"a": "old\n", "b": "old\n", "c": "old\n"}
NEW = dict.fromkeys(OLD, "new\n")
CUT = "The link to web1 was cut"


@pytest.fixture
def reach() -> Iterator[World]:
    """A host, reached by a client that soon notices a silent link."""
    with world() as made:
        made.add("web1")
        made.environments(CONFIG)
        made.configure("Host web1\n  ServerAliveInterval 1\n  ServerAliveCountMax 2\n")
        (made.folder / "app").mkdir()
        for name, content in OLD.items():
            (made.folder / "app" / name).write_text(content)
        yield made


def app(reach: World) -> dict[str, str]:
    """Give what lies in the folder that is changed."""
    return {path.name: path.read_text() for path in (reach.folder / "app").iterdir()}


def changing(reach: World) -> str:
    """Give the command that changes all of it."""
    return f"cd {reach.folder}/app; for name in a b c; do echo new > $name; done"


def while_it_runs(reach: World, act: Callable[[], object], *words: str) -> str:
    """Run a command line, do something when the command said that it began; gives what is told at the end."""
    with reach.backout.beside(*words) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "begun\n"
        act()
        said = process.stderr.read()
        process.wait()
    assert process.returncode == 1, said
    return said


def at_the_question(reach: World, act: Callable[[], object], *words: str) -> tuple[int, str]:
    """Run a command line in a terminal, do something when it asks, and say yes; gives exit code and screen."""
    pid, terminal = pty.fork()
    if pid == 0:
        argv = reach.backout.argv(*words)
        os.execvpe(argv[0], argv, {**reach.backout.environ, "TERM": "xterm"})
    shown, asked = "", False
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # EIO: it has ended
            break
        shown += data.decode(errors="replace")
        if not asked and "[y/N]" in shown:
            asked = True
            act()
            os.write(terminal, b"y\n")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def gone(host: Host) -> None:
    """Wait for every host half there to end."""
    until(lambda: not host.halves(), "the host half to end")


def killed_at(host: Host, call: str, nth: int) -> None:
    """Let the host half be killed, and so the link be cut, at its nth call of a kind from now on."""
    (pid,) = host.halves()
    inject = f"inject={call}:signal=KILL:when={nth}"
    tracer = subprocess.Popen(
        ["strace", "-qq", "-o", os.devnull, "-p", str(pid), "-e", f"trace={call}", "-e", inject],
        stderr=subprocess.DEVNULL,
    )
    host.started.append(tracer)
    status = Path(f"/proc/{pid}/status")
    until(lambda: f"TracerPid:\t{tracer.pid}" in status.read_text(), "strace")


@pytest.mark.parametrize("how", ["the sessions end", "the cable is out", "the controller is killed"])
def test_a_rehearsal_whose_link_is_cut_ends_and_leaves_nothing(
    reach: World, web1: Host, processes_with: Callable[[str], Sequence[int]], how: str
) -> None:
    """It goes on for nobody otherwise, with its folders and its processes."""
    word = f"600.{os.getpid()}"

    def cut() -> None:
        if how == "the sessions end":
            web1.end_sessions()
        elif how == "the cable is out":
            reach.cut("web1")
        else:
            reach.disconnect()

    words = ("rehearse", *HERE, "--network", "none", "--", f"{changing(reach)}; echo begun; exec sleep {word}")
    if how == "the controller is killed":
        with pytest.raises(AssertionError):
            while_it_runs(reach, cut, *words)
    else:
        said = while_it_runs(reach, cut, *words)
        assert CUT in said
        assert "next:    backout recover -e production" in said
    gone(web1)
    assert (web1.stages(), app(reach)) == ([], OLD)
    assert processes_with(word) == []
    reach.mend("web1")
    document, code = reach.backout.json("log", *HERE)
    assert (code, document["changes"]) == (0, [])


def test_a_link_that_is_cut_at_the_question_leaves_nothing(reach: World, web1: Host) -> None:
    """The host half keeps what was rehearsed until it is told what becomes of it; now nobody will."""
    code, shown = at_the_question(reach, web1.end_sessions, "run", *HERE, "--network", "none", "--", changing(reach))
    assert (code, CUT in shown) == (1, True), shown
    gone(web1)
    assert (web1.stages(), app(reach)) == ([], OLD)


def test_what_a_killed_host_half_left_on_another_file_system_is_found(reach: World, web1: Host) -> None:
    """A rehearsal that waited for its wave: its id could not be rehearsed again, and gc did not see its layer."""

    def killed() -> None:
        os.kill(web1.halves()[0], signal.SIGKILL)

    words = ("run", *HERE, "--network", "none", "--", f"echo new > {reach.site}/new")
    code, shown = at_the_question(reach, killed, *words)
    assert (code, CUT in shown) == (1, True), shown
    gone(web1)
    (left,) = (web1.site / ".backout").iterdir()
    assert web1.stages() == [left.name]
    assert reach.backout("gc", *HERE, "--older-than", "0").returncode == 0
    assert (web1.stages(), list(web1.site.iterdir())) == ([], [])


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_link_that_is_cut_in_an_apply_is_recovered_by_the_next_contact(reach: World, web1: Host, nth: int) -> None:
    """Between prepared and applied some paths are new; `recover` takes them back, and nothing else goes on before."""
    code, shown = at_the_question(
        reach,
        lambda: killed_at(web1, "renameat2", nth),
        *("run", *HERE, "--network", "none", "--", changing(reach)),
    )
    assert (code, "backout recover -e production" in shown) == (1, True), shown
    gone(web1)
    (row,) = reach.backout.json("log", *HERE)[0]["changes"]
    assert row["state"] == "prepared"
    error, code = reach.backout.json("run", *HERE, "--yes", "--", "true")
    assert (code, error["next"]) == (5, "backout recover -e production")
    document, code = reach.backout.json("recover", *HERE)
    assert (code, [row["state"] for row in document["recovered"]]) == (0, ["undone"])
    assert app(reach) == OLD


@pytest.mark.parametrize("how", ["the sessions end", "the cable is out"])
def test_a_link_that_is_cut_after_the_apply_is_settled_by_the_next_contact(reach: World, web1: Host, how: str) -> None:
    """It was applied and not kept: the host half lets go of the lock, and `recover` finds nothing unhealthy."""
    begun = reach.folder / "begun"

    def cut() -> None:
        until(begun.exists, "the command after the apply")
        web1.end_sessions() if how == "the sessions end" else reach.cut("web1")

    words = (
        "run",
        *HERE,
        "--yes",
        "--network",
        "none",
        "--after",
        f"[ -e {begun} ] || {{ touch {begun}; exec sleep 600; }}",
    )
    said = while_it_runs(reach, cut, *words, "--", f"echo begun; {changing(reach)}")
    assert CUT in said
    reach.mend("web1")
    gone(web1)
    assert app(reach) == NEW
    document, code = reach.backout.json("recover", *HERE)
    assert (code, [row["state"] for row in document["recovered"]]) == (0, ["kept"])
    assert (reach.backout("back", *HERE).returncode, app(reach)) == (0, OLD)


def test_a_shared_connection_that_died_in_silence_is_no_trouble(reach: World, web1: Host) -> None:
    """A host that was reset, or a firewall that forgot, says nothing: ssh notices, and the same command goes on."""
    assert reach.backout("log", *HERE).returncode == 0
    sessions = [pid for pid in web1.pids() if pid != web1.process.pid]
    for pid in sessions:
        os.kill(pid, signal.SIGSTOP)
    done = reach.backout("log", *HERE)
    assert done.returncode == 0, done.stderr
    assert sessions
