"""`backout shell -e`: the same over the real ssh, recorded here."""

from __future__ import annotations

import subprocess
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


def test_with_sudo_the_shell_is_roots(reach: World, web1: Host) -> None:
    """Here it does not."""
    web1.sudoers.write_text("deploy ALL=(root) NOPASSWD: ALL\n")
    reach.environments('[environments.production]\nhosts = ["deploy@web1"]\nbecome = "sudo"\n')
    window = opened(reach, "-e", "production")
    window.until(READY)
    window.says("id -u; echo $SUDO_UID", rf"0\r\n{USER}\r\n{READY}")
    window.type("exit\n")
    assert window.end() == 0


@pytest.fixture
def guarded(reach: World, web1: Host) -> Iterator[dict[str, str]]:
    """A key that has a passphrase, and a sudo that asks for a password: what is to be typed for each."""
    said = {"key": "opens the key", "sudo": "makes me root", "pin": "is read in silence"}
    hashed = subprocess.run(["openssl", "passwd", "-6", said["sudo"]], capture_output=True, text=True, check=True)
    accounts = web1.folder / "passwd"
    before = accounts.read_text()
    accounts.write_text(before.replace("deploy:*:", f"deploy:{hashed.stdout.strip()}:"))
    web1.sudoers.write_text("deploy ALL=(root) ALL\n")
    change = ["ssh-keygen", "-q", "-p", "-f", f"{reach.ssh}/id_ed25519"]
    subprocess.run([*change, "-P", "", "-N", said["key"]], check=True, capture_output=True)
    reach.environments('[environments.production]\nhosts = ["deploy@web1"]\nbecome = "sudo"\n')
    reach.disconnect()
    yield said
    subprocess.run([*change, "-P", said["key"], "-N", ""], check=True, capture_output=True)
    accounts.write_text(before)


def test_what_is_typed_where_nothing_is_shown_is_nowhere_on_the_record(reach: World, guarded: dict[str, str]) -> None:
    """Whoever sits there is asked as ever, and answers; the record is read by many, and for years."""
    window = Terminal(
        reach.backout.argv("do", "-e", "production", "--", "echo it is $(id -u)"), Path("/"), reach.backout.environ
    )
    window.until("passphrase for key")
    window.says(guarded["key"], "password for deploy")
    window.says(guarded["sudo"], "it is 0\r\n")
    assert window.end() == 0
    shown = window.shown
    window = opened(reach, "-e", "production")
    window.until("password for deploy")
    window.says(guarded["sudo"], READY)
    window.says("read -rsp 'pin? ' pin; echo it has ${#pin}", r"\n\r?pin\? ")
    window.says(guarded["pin"], f"it has {len(guarded['pin'])}\r\n{READY}")
    window.says("export SHOP_TOKEN=in-a-command; echo 'in a pipe' | sudo -S true", READY)
    window.type("exit 0\n")
    assert window.end() == 0
    with closing(SqliteJournal(Path(reach.backout.environ["XDG_STATE_HOME"]) / "backout" / "journal.db")) as journal:
        bodies = [event.body for event in journal.events(type="entry")][-4:]
        outputs = [journal.content(body["output"]) for body in bodies if "output" in body]
    assert "it is 0" in bodies[0]["tail"]
    assert bodies[2]["text"] == "export SHOP_TOKEN=••••; echo •••• | sudo -S true"
    for secret in (*guarded.values(), "in-a-command", "in a pipe"):
        assert secret not in str((bodies, outputs))
    for secret in guarded.values():
        assert secret not in shown + window.shown


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
