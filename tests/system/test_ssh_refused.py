"""Hosts that are not reached, each for another reason: what it was, that nothing was changed, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kit.sshd import Host, World, world

CONFIG = """
[environments.production]
hosts = ["web1"]
[environments.deployed]
hosts = ["web1"]
become = "sudo"
[environments.nowhere]
hosts = ["nowhere.invalid"]
"""
SHELL = '#!/bin/sh\nexec /bin/sh "$@"\n'


@pytest.fixture
def reach() -> Iterator[World]:
    """A host with a fresh sshd, and no connection to it yet."""
    with world() as made:
        made.add("web1")
        made.environments(CONFIG)
        yield made


def refused(reach: World, code: int, environment: str = "production") -> dict[str, Any]:
    """Ask for the record, which has to be refused within the test's time; gives the error."""
    error, got = reach.backout.json("log", "-e", environment)
    assert (got, error["schema"], error["state"]) == (code, "backout.error/1", "Nothing was changed."), error
    return error


def test_a_host_that_nobody_knows(reach: World) -> None:
    """A typing error in backout.toml."""
    error = refused(reach, 1, "nowhere")
    assert "nowhere.invalid: there is no host of that name" in error["what"]
    assert "backout.toml" in error["next"]


def test_a_host_key_that_is_not_known_is_never_taken_on(reach: World) -> None:
    """The first connection is when somebody in between would begin."""
    (reach.ssh / "known_hosts").write_text("")
    error = refused(reach, 1)
    assert "its host key is not known here" in error["what"]
    assert error["next"].endswith("ssh web1")
    assert (reach.ssh / "known_hosts").read_text() == ""


def test_a_host_key_that_changed_is_never_taken_on(reach: World, web1: Host) -> None:
    """It may be a machine that was set up anew, or somebody else's."""
    web1.new_key(web1.folder)
    web1.start_anew()
    before = (reach.ssh / "known_hosts").read_text()
    error = refused(reach, 1)
    assert "not the one that is known" in error["what"]
    assert f"ssh-keygen -f {reach.ssh}/known_hosts -R {reach.address('web1')}" in error["next"]
    assert (reach.ssh / "known_hosts").read_text() == before


def test_a_host_that_does_not_let_us_in(reach: World, web1: Host) -> None:
    """No question can be answered: there may be no terminal, and passwords have no place here."""
    (web1.folder / "authorized").write_text("")
    error = refused(reach, 1)
    assert "does not let root in" in error["what"]
    assert error["next"].endswith("ssh -o BatchMode=yes web1 true")


def test_a_host_where_nothing_listens(reach: World) -> None:
    """Its sshd is on another port, or down."""
    reach.configure("Host web1\n  Port 2222\n")
    error = refused(reach, 1)
    assert f"nothing answers for ssh at {reach.address('web1')} port 2222" in error["what"]


def test_a_host_that_is_gone(reach: World) -> None:
    """Its cable is out: a connection would wait for minutes."""
    reach.cut("web1")
    error = refused(reach, 1)
    assert reach.address("web1") in error["what"]
    assert error["next"].endswith("ssh web1")


def test_a_host_that_lets_a_connection_wait_for_ever(reach: World, web1: Host) -> None:
    """A machine out of memory still accepts connections, in its kernel."""
    listen = "import socket, time; s = socket.create_server(('', 2222)); time.sleep(600)"
    web1.start("python3", "-c", listen)
    web1.sh("sh", "-c", "until ss -ltn | grep -q :2222; do sleep 0.05; done")
    reach.configure("Host web1\n  Port 2222\n")
    assert "no answer in time" in refused(reach, 1)["what"]


def test_an_ssh_configuration_that_cannot_be_read(reach: World) -> None:
    """It is ssh's message, with its file and line."""
    reach.configure("Hast web1\n")
    assert "config: line 1: Bad configuration option: hast" in refused(reach, 1)["what"]


def test_a_host_without_python(web1: Host, reach: World) -> None:
    """Small images have none."""
    web1.log_in_with(SHELL.replace("exec", "PATH=/nowhere exec"))
    error = refused(reach, 7)
    assert (error["what"], error["next"]) == (
        "web1: it has no python3; Python 3.9 or newer is needed.",
        "Install python3 there.",
    )


def test_a_host_with_an_old_python(web1: Host, reach: World) -> None:
    """Its half would stop in the middle of an import, with a traceback."""
    old = web1.folder / "old"
    old.mkdir()
    (old / "python3").write_text('#!/bin/sh\ncase "$*" in *"exit(97)"*) exit 97;; *) echo 3.6.8;; esac\n')
    (old / "python3").chmod(0o755)
    web1.log_in_with(SHELL.replace("exec", f"PATH={old} exec"))
    assert refused(reach, 7)["what"] == "web1: its Python is 3.6.8; Python 3.9 or newer is needed."
    (old / "python3.12").symlink_to("/usr/bin/python3")
    done = reach.backout("log", "-e", "production")
    assert done.returncode == 0, done.stderr


def test_a_login_that_ends_at_once(web1: Host, reach: World) -> None:
    """Accounts for files alone have such a shell."""
    web1.log_in_with("#!/bin/sh\necho This account is not available. >&2; exit 1\n")
    error = refused(reach, 1)
    assert "ended before the host half began (exit code 1): This account is not available." in error["what"]


def test_sudo_that_asks_is_refused_and_sudo_that_does_not_makes_root(reach: World, web1: Host) -> None:
    """A question for a password would wait for ever; the answer would lie in a history."""
    reach.configure("Host web1\n  User deploy\n")
    web1.sudoers.write_text("deploy ALL=(root) ALL\n")
    error = refused(reach, 7, "deployed")
    assert "web1: sudo does not let deploy through without a question: sudo: " in error["what"]
    assert "deploy ALL=(root) NOPASSWD: ALL" in error["next"]
    web1.sudoers.write_text('deploy ALL=(root) NOPASSWD: ALL\nDefaults env_keep += "BACKOUT_STATE XDG_CACHE_HOME"\n')
    done = reach.backout("rehearse", "-e", "deployed", "--network", "none", "--", "id -un; pwd; echo $SUDO_USER")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:3] == ["root", f"{web1.folder}/deploy", "deploy"]
    assert (web1.cache / "backout").stat().st_uid == 0
