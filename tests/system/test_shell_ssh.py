"""`backout shell -e`: the same over the real ssh, recorded here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backout.store.sqlite import SqliteJournal
from kit.sshd import USER, Host, World, world
from kit.terminal import Terminal

READY = r"there\$ "
LOGINS = {
    "sh": '#!/bin/sh\nexec /bin/sh "$@"\n',
    "bash with a greeting": '#!/bin/sh\necho welcome\nexec /bin/bash "$@"\n',
}


@pytest.fixture(scope="module")
def reach() -> Iterator[World]:
    """One host, for all tests of this file."""
    with world() as made:
        host = made.add("web1")
        (host.home / ".bashrc").write_text("PS1='there$ '\n")
        (host.folder / "deploy" / ".bashrc").write_text("PS1='there$ '\n")
        made.environments('[environments.production]\nhosts = ["web1"]\n')
        yield made


def opened(reach: World, *words: str) -> Terminal:
    """A window of the controller's with the shell in it."""
    return Terminal(reach.backout.argv("shell", *words), Path("/"), reach.backout.environ)


@pytest.mark.parametrize("login", LOGINS)
def test_what_is_done_on_a_host_is_recorded_here_with_its_name(reach: World, web1: Host, login: str) -> None:
    """The record of an incident is in one place, wherever it was worked on; there nothing is left."""
    web1.log_in_with(LOGINS[login])
    window = opened(reach, "-e", "web1" if login == "sh" else "production")
    window.until(READY)
    window.says("cd /usr; echo $ONLY_THERE ää; (exit 3)", rf"yes ää\r\n{READY}")
    window.resize(90, 33)
    window.says("until [ \"$(stty size)\" = '33 90' ]; do sleep 0.01; done", READY)
    window.says("ls /proc/$$/fd", rf"255\r\n{READY}")
    window.type("exit 7\n")
    assert window.end() == 7
    with closing(SqliteJournal(Path(reach.backout.environ["XDG_STATE_HOME"]) / "backout" / "journal.db")) as journal:
        bodies = [event.body for event in journal.events(type="entry")][-4:]
    assert [(body["host"], body["exit_code"]) for body in bodies] == [
        ("web1", 3),
        ("web1", 0),
        ("web1", 0),
        ("web1", 7),
    ]
    assert bodies[0]["text"] == "cd /usr; echo $ONLY_THERE ää; (exit 3)"
    assert bodies[0]["tail"] == "yes ää"
    assert (bodies[0]["cwd"], bodies[1]["cwd"]) == (str(web1.home), "/usr")
    assert bodies[2]["tail"].split() == ["0", "1", "2", "255"]
    assert {path.name for path in web1.home.iterdir()} <= {".bashrc", ".ssh", ".bash_history"}


def test_with_sudo_the_shell_is_roots_and_sudo_may_ask(reach: World, web1: Host) -> None:
    """Whoever sits there can answer; a password that is typed is nowhere on the record."""
    web1.sudoers.write_text("deploy ALL=(root) NOPASSWD: ALL\n")
    reach.environments('[environments.production]\nhosts = ["deploy@web1"]\nbecome = "sudo"\n')
    window = opened(reach, "-e", "production")
    window.until(READY)
    window.says("id -u; echo $SUDO_UID", rf"0\r\n{USER}\r\n{READY}")
    window.type("exit\n")
    assert window.end() == 0


def test_a_host_without_bash_is_told_of(reach: World, web1: Host) -> None:
    """Not a prompt in which nothing is recorded."""
    reach.environments('[environments.production]\nhosts = ["web1"]\n')
    web1.log_in_with('#!/bin/sh\nPATH=/nowhere exec /bin/sh "$@"\n')
    window = opened(reach, "-e", "production")
    assert window.end() == 7
    assert "web1 has no bash, which a recorded shell needs." in window.shown


def test_a_host_that_does_not_answer_is_told_of(reach: World) -> None:
    """What ssh said stands above."""
    reach.environments('[environments.production]\nhosts = ["nowhere.invalid"]\n')
    window = opened(reach, "-e", "production")
    assert window.end() == 1
    assert "Could not resolve hostname nowhere.invalid" in window.shown
    said = " ".join(window.shown.split())
    assert "nowhere.invalid: the shell ended before it could be recorded (exit code 255)." in said
