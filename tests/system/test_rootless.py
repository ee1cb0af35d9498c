"""The view without root: what an ordinary user may change is rehearsed, and the rest answers as on the host."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from backout.errors import FailedError, NotPossibleError
from backout.host import seccomp
from backout.host.libc import call
from backout.host.mounting import tmpfs
from kit.attempts import ATTEMPT, ATTEMPTS, PRIVATE, tell
from kit.host_state import unchanged
from kit.user import USER


@pytest.fixture
def home(place: Any) -> str:
    """A home folder of a user that nobody is."""
    os.chown(place.root, USER, USER)
    return str(place.root)


def test_a_users_change_is_recorded_and_the_host_is_as_before(place: Any, home: str, in_child: Any) -> None:
    """The whole point, without root: as the own user, not as a pretended root (A14)."""
    place.write("old", "old")
    os.chown(place.path("old"), USER, USER)

    def inside() -> Any:
        ran = place.run("id -u; pwd; echo new > new; rm old; mkdir -p a/b; echo deep > a/b/c; chmod 500 a; echo >&2")
        return [*ran, sorted(os.listdir(home)), os.listdir(place.state)]

    code, out, err, limits, recorded, _, live, state = in_child(inside, uid=USER)
    assert (code, out, err) == (0, f"{USER}\n{home}\n", "\n")
    assert recorded == {
        f"{home}/new": "new\n",
        f"{home}/old": "(whiteout or special)",
        f"{home}/a/b/c": "deep\n",
    }
    assert live == ["old", "state"]
    assert state == []
    assert "without root" in limits[0]


def test_what_is_not_the_users_answers_as_on_the_host(place: Any, home: str, in_child: Any) -> None:
    """Programs decide by these answers: pip installs elsewhere when it may not write."""
    script = (
        "for attempt in 'touch /etc/x' 'mkdir /usr/lib/x' 'rm /etc/hostname' 'ls /root' "
        "'mknod device b 7 0' 'umount /proc/sys' 'unshare -U true'; do $attempt 2>&1; done"
    )
    lines = in_child(lambda: place.run(script).out, uid=USER).splitlines()
    assert len(lines) == 7
    assert all("denied" in line or "not permitted" in line or "superuser" in line for line in lines), lines
    assert home


@pytest.mark.parametrize("what", sorted({*ATTEMPTS} - {*PRIVATE}))
def test_a_user_in_the_view_does_not_get_out(place: Any, home: str, in_child: Any, what: str) -> None:
    """Law 1: here the line is drawn by the user's own rights and the user namespace. It must be as tight."""
    os.mkdir(place.state, 0o700)
    os.chown(place.state, USER, USER)
    with unchanged(home, os.fsdecode(place.state)) as host:
        env = tell(host)
        _, out, err, *_ = in_child(
            lambda: place.run("/usr/bin/python3", "-c", ATTEMPT + ATTEMPTS[what][0], env=env), uid=USER
        )
    assert "done" not in out
    assert out.strip() or "PermissionError" in err


def test_a_users_fork_bomb_is_ended(place: Any, home: str, in_child: Any) -> None:
    """The kernel holds a user's at a number, at which it would stay for ever; then it is ended as root's is."""

    def inside() -> str:
        with pytest.raises(FailedError) as raised:
            place.run("bash", "-c", "b() { b | b & }; b; sleep 1000")
        return str(raised.value.what)

    assert "processes and threads" in in_child(inside, uid=USER)
    assert home


def test_checks_run_on_a_users_change(place: Any, home: str, in_child: Any) -> None:
    """Judging a change must not need more power than making it (B6)."""

    def inside() -> Any:
        sandbox = place.sandbox()
        with sandbox:
            sandbox.run([b"sh", b"-c", b"echo 1 > new"], home.encode(), {b"PATH": b"/bin"}, lambda *_: None)
            sandbox.freeze()
            seen = [sandbox.call(lambda: Path(home, "new").exists(), with_change=c) for c in (True, False)]
        sandbox.close(keep=False)
        return [*seen, os.listdir(place.state)]

    assert in_child(inside, uid=USER) == [True, False, []]


def test_sockets_in_folders_with_mounts_below_answer_nobody(place: Any, home: str, in_child: Any) -> None:
    """Such a folder has no layer of its own without root; its sockets would be live ones (A7)."""
    os.chown(home, 0, 0)
    os.mkdir(place.path("mounted"))
    os.mkdir(place.path("user"))
    os.chown(place.path("user"), USER, USER)
    place.state = os.fsencode(place.path("user/state"))
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(place.path("socket"))
    listening.listen()
    os.chmod(place.path("socket"), 0o777)
    connect = f"import socket; socket.socket(socket.AF_UNIX).connect({place.path('socket')!r})"

    def inside() -> Any:
        return in_child(lambda: place.run("/usr/bin/python3", "-c", connect).err, uid=USER)

    def with_a_mount() -> Any:
        tmpfs(os.fsencode(place.path("mounted")), b"size=1m")
        return inside()

    err = in_child(with_a_mount, own_mounts=True)
    listening.close()
    assert "Connection refused" in err


def test_mounts_below_a_closed_folder_stay_closed(place: Any, home: str, in_child: Any) -> None:
    """A host of containers has many: root's, that a user cannot even look at. They are in nobody's way."""
    os.chown(home, 0, 0)
    for name, mode in (("user", 0o755), ("closed", 0o700), ("closed/mounted", 0o755)):
        os.mkdir(place.path(name), mode)
    os.chown(place.path("user"), USER, USER)
    place.state = os.fsencode(place.path("user/state"))

    def inside() -> Any:
        tmpfs(os.fsencode(place.path("closed/mounted")), b"size=1m")
        return in_child(lambda: place.run("ls closed/mounted; echo 1 > user/new"), uid=USER)

    _, _, err, limits, recorded, _ = in_child(inside, own_mounts=True)
    assert "Permission denied" in err
    assert not [limit for limit in limits if "closed" in limit]
    assert recorded == {place.path("user/new"): "1\n"}


def test_a_host_that_forbids_user_namespaces_says_how_to_go_on(place: Any, home: str, in_child: Any) -> None:
    """Ubuntu 24.04 forbids them to ordinary users; our own filter does it here."""

    def without() -> str:
        with pytest.raises(NotPossibleError) as raised:
            place.run("true")
        return f"{raised.value.what} {raised.value.next} {os.listdir(place.state)}"

    def filtered() -> Any:
        seccomp.install()
        return in_child(without, uid=USER)

    what = in_child(filtered)
    assert "forbids user namespaces" in what
    assert "sudo sysctl" in what
    assert what.endswith("[]")
    assert home


def test_a_host_that_allows_no_user_namespaces_says_how_to_go_on(place: Any, home: str, in_child: Any) -> None:
    """Some hosts set their number to 0; a namespace may do so for what is in it."""

    def without() -> str:
        call("unshare", 0x10000000)
        Path("/proc/sys/user/max_user_namespaces").write_bytes(b"0")
        with pytest.raises(NotPossibleError) as raised:
            place.run("true")
        return f"{raised.value.what} {raised.value.next}"

    what = in_child(without, uid=USER)
    assert "max_user_namespaces" in what
    assert home
