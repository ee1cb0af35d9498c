"""The view: what a command finds in it, what is recorded of what it does, and that nothing of it is left."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from backout.errors import ConflictError, FailedError
from backout.host.mounting import bind, set_flags, tmpfs
from backout.host.mounts import NODEV, NOEXEC, NOSUID, RDONLY

MULTIPROCESSING = """
import multiprocessing, os
if __name__ == "__main__":
    with multiprocessing.Pool(1) as pool:
        print(pool.map(abs, [-3]))
    print(os.ttyname(os.openpty()[1]))
    print(open("/dev/stdin").read(), os.listdir("/dev/shm"))
"""


def test_a_file_of_which_only_the_mode_changed_keeps_its_content(place: Any) -> None:
    """With metacopy it would be NULs in the upper layer, and those would be promoted (A1)."""
    path = place.write("file", "content")
    assert place.run("chmod 600 file").recorded == {path: "content"}


def test_hard_links_are_one_file_in_the_view(place: Any) -> None:
    """Split, the command would see two contents where the host has one (A3)."""
    one = place.write("one", "old")
    os.link(one, place.path("other"))
    ran = place.run("echo new > one; cat other")
    assert ran.out == "new\n"
    assert ran.recorded == {one: "new\n"}


def test_each_mount_has_its_layer_and_binds_share_one(place: Any, in_child: Any) -> None:
    """Submounts would look empty, and two overlays over one file system would diverge (A4)."""
    for name in ("memory", "folder", "bound", "closed"):
        os.mkdir(place.path(name))
    place.write("folder/old", "old")

    def inside() -> Any:
        tmpfs(os.fsencode(place.path("memory")), b"size=8m", NOSUID | NOEXEC)
        place.write("memory/there", "there")
        bind(os.fsencode(place.path("folder")), os.fsencode(place.path("bound")))
        bind(os.fsencode(place.path("folder")), os.fsencode(place.path("closed")), RDONLY | NOSUID)
        before = os.stat(place.path("memory")).st_mtime_ns
        ran = place.run(
            "cat memory/there bound/old; echo 1 > memory/new; echo 2 > bound/new; cat folder/new closed/new; "
            "echo 3 > closed/newer; cp /bin/true memory/true; memory/true; grep /closed /proc/mounts | cut -d, -f1,2"
        )
        live = sorted(os.listdir(place.path("memory")) + os.listdir(place.path("folder")))
        return [*ran, live, before == os.stat(place.path("memory")).st_mtime_ns]

    code, out, err, limits, recorded, points, live, mtime_kept = in_child(inside, own_mounts=True)
    assert (code, limits) == (0, [])
    assert out.startswith("thereold2\n2\n")
    assert "ro,nosuid" in out
    assert "Read-only file system" in err
    assert "Permission denied" in err
    assert sorted(p for p in points if p.startswith(place.root)) == [place.path("memory")]
    assert recorded.pop(place.path("memory/true"))
    assert recorded == {place.path("memory/new"): "1\n", place.path("folder/new"): "2\n"}
    assert live == ["old", "there"]
    assert mtime_kept


def test_a_file_that_is_a_mount_is_worked_on_as_a_copy(place: Any, in_child: Any) -> None:
    """It cannot be overlaid, and a plain bind would write to the host's (C5)."""
    live, point = place.write("elsewhere", "live", 0o640), place.write("file", "covered")

    def inside() -> Any:
        memory = place.path("memory")
        os.mkdir(memory)
        tmpfs(os.fsencode(memory), b"size=1m")
        os.rename(place.write("memory/file", "live"), live_in := place.path("memory/alone"))
        bind(os.fsencode(live_in), os.fsencode(point))
        subprocess.run(["umount", "-l", memory], check=True)
        ran = place.run("cat file; echo changed > file; cat file")
        return [ran.out, Path(point).read_text(), ran.limits]

    out, live_content, limits = in_child(inside, own_mounts=True)
    assert out == "livechanged\n"
    assert live_content == "live"
    assert [point in limit for limit in limits] == [True]
    assert live


def test_sockets_of_the_host_answer_nobody_in_the_view(place: Any, in_child: Any) -> None:
    """A command that reaches a live daemon changes the host (A7); a read-only mount does not keep it from that."""
    program = place.write(
        "connect.py",
        "import socket, sys\n"
        "for name in sys.argv[1:]:\n"
        "    try: socket.socket(socket.AF_UNIX).connect(name.replace('@', chr(0))); print('connected')\n"
        "    except OSError as error: print(error.strerror)\n",
    )

    def inside() -> Any:
        os.mkdir(place.path("closed"))
        tmpfs(os.fsencode(place.path("closed")), b"size=1m")
        names = [f"@backout-test-{os.getpid()}", place.path("socket"), place.path("closed/socket")]
        listening = [socket.socket(socket.AF_UNIX) for _ in names]
        for name, one in zip(names, listening, strict=True):
            one.bind(name.replace("@", "\0"))
            one.listen()
        set_flags(os.fsencode(place.path("closed")), RDONLY)
        outside = subprocess.run([sys.executable, program, *names], capture_output=True, text=True, check=True)
        return [outside.stdout, place.run(sys.executable, program, *names).out]

    outside, in_view = in_child(inside, own_mounts=True)
    assert outside == "connected\n" * 3
    assert in_view == "Connection refused\n" * 3


def test_another_user_can_live_in_the_view(place: Any) -> None:
    """With a private upper root, libc itself could not be loaded (A5); and setuid programs must work."""
    ran = place.run("su -s /bin/sh nobody -c 'id -un; ls / >/dev/null && grep NoNewPrivs /proc/self/status'")
    assert ran.out.split() == ["nobody", "NoNewPrivs:", "0"]


def test_the_service_manager_and_the_interfaces_look_as_on_the_host(place: Any) -> None:
    """Configuration managers write what they see (A8)."""
    ran = place.run("cat /proc/1/comm; ls /sys/class/net; ls -d /run/systemd/system 2>/dev/null; hostname")
    expected = subprocess.run(
        "cat /proc/1/comm; ls /sys/class/net; ls -d /run/systemd/system 2>/dev/null; hostname",
        shell=True, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.out == expected.stdout


def test_the_environment_of_the_first_process_is_the_hosts(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facter tells a container by it; the real first process of the view is closed to the command (A8)."""
    monkeypatch.setattr("backout.host.sandbox.hosts_first_environ", lambda: b"container=toy\0")
    assert place.run("cat /proc/1/environ").out == "container=toy\0"


def test_programs_find_the_devices_that_they_need(place: Any) -> None:
    """Ansible and multiprocessing fail without shm, fd and a terminal of their own (A10)."""
    program = place.write("program.py", MULTIPROCESSING)
    ran = place.run(sys.executable, program)
    assert (ran.out, ran.err) == ("[3]\n/dev/pts/0\n []\n", "")


def test_a_terminal_is_one_of_the_view(place: Any) -> None:
    """An interactive command needs one; the operator's own would lead out of the view."""
    read, write = os.pipe()
    os.write(write, b"hello\n")
    ran = place.run("tty; test -t 0 && test -t 1 && read line && echo got $line", stdin=read, terminal=True)
    os.close(read)
    os.close(write)
    assert ran.code == 0
    assert "/dev/pts/0" in ran.out
    assert "got hello" in ran.out


def test_output_comes_as_it_is_made_and_input_goes_in(place: Any) -> None:
    """The second line is only written once the first was seen: nothing waits for the end."""
    read, write = os.pipe()
    heard: list[tuple[str, bytes]] = []

    def hear(stream: str, data: bytes) -> None:
        if not heard:
            os.write(write, b"go on\n")
        heard.append((stream, data))

    with (sandbox := place.sandbox()):
        command = [b"sh", b"-c", b"echo one; read line; echo $line >&2"]
        assert sandbox.run(command, b"/", {}, hear, stdin=read) == 0
    sandbox.close(keep=False)
    assert heard == [("stdout", b"one\n"), ("stderr", b"go on\n")]


def test_names_and_arguments_are_bytes(place: Any) -> None:
    """Not everything on a host is UTF-8."""
    name = b"\xff\n'\"name"
    ran = place.run(b"sh", b"-c", b'printf %s "$1$V"; echo x > "$1"', b"sh", name, env={b"V": b"\xfe"})
    assert os.fsencode(ran.out) == name + b"\xfe"
    assert list(ran.recorded) == [place.path(os.fsdecode(name))]


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -TERM $$", 143), ("true", 0)])
def test_the_exit_code_is_the_commands(place: Any, script: str, code: int) -> None:
    """Whether a rehearsal went well is decided by it."""
    assert place.run(script).code == code


@pytest.mark.parametrize(
    ("argv", "message"),
    [(["no-such-command", "x"], "not found: no-such-command"), (["./plain", "x"], "plain cannot be executed")],
)
def test_a_command_that_cannot_start_says_why(place: Any, argv: list[str], message: str) -> None:
    """Never a traceback for a mistyped name."""
    place.write("plain", "text")
    with pytest.raises(FailedError, match=message):
        place.run(*argv)


def test_what_is_left_running_is_ended_and_named(place: Any, processes_with: Callable[[str], Sequence[int]]) -> None:
    """A daemon that outlives the rehearsal would be a change of the host (D2)."""
    word = f"4321{os.getpid()}"
    ran = place.run(f"setsid sleep {word} >/dev/null 2>&1 & sleep {word} & exit 0")
    assert [limit for limit in ran.limits if "left behind" in limit] == [
        "2 processes left behind by the command were ended: sleep."
    ]
    assert processes_with(word) == []


def test_checks_see_the_change_and_leave_nothing_in_it(place: Any) -> None:
    """Byte code that a check writes would be promoted with the change (B6)."""
    place.write("gone", "x")
    sandbox = place.sandbox()
    root = place.root

    def look() -> list[Any]:
        seen = sorted(set(os.listdir(root)) - {"state"})
        Path(root, "by-check").write_text("x")
        subprocess.run(["true"], check=True)
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
            return seen

    with sandbox:
        sandbox.run([b"sh", b"-c", b"echo 1 > new; rm gone"], os.fsencode(root), {}, lambda *_: None)
        sandbox.freeze()
        before = sorted(os.walk(sandbox.layers[0].upper))
        assert sandbox.call(look) == ["new"]
        assert sandbox.call(look) == ["new"]
        assert sandbox.call(look, with_change=False) == ["gone"]
        with pytest.raises(ConflictError, match="moved"):
            sandbox.call(_conflict)
        assert sorted(os.walk(sandbox.layers[0].upper)) == before
    sandbox.close(keep=False)


def _conflict() -> None:
    raise ConflictError("it moved")


def test_the_base_lies_before_the_command_and_after_what_was_there(place: Any) -> None:
    """An edit of the host while the command runs must be seen as later than the base, and nothing else (B9)."""
    old = place.write("old", "x")
    with (sandbox := place.sandbox()):
        new = place.write("new", "x")
        base = sandbox.t0_ns[b"/"]
        assert os.stat(old).st_ctime_ns <= base <= os.stat(new).st_ctime_ns
    sandbox.close(keep=False)


class Stand(NamedTuple):
    """Stand-ins as `shims` prepares them."""

    folder: bytes
    real: dict[bytes, bytes]
    requests: bytes

    def answering(self) -> contextlib.AbstractContextManager[None]:
        """Nobody asks them."""
        return contextlib.nullcontext()


def test_stand_ins_lie_on_top_and_are_not_recorded(place: Any) -> None:
    """They must be found at the tools' own paths, and must never reach the host (A9)."""
    os.makedirs(place.path("layer/usr/bin"))
    place.write("layer/usr/bin/backout-toy", "#!/bin/sh\necho asked $1 >> /dev/.backout/requests\n", 0o755)
    requests = os.fsencode(place.write("requests", "", 0o600))
    stand = Stand(os.fsencode(place.path("layer")), {b"tool": b"/bin/echo"}, requests)
    ran = place.run("backout-toy start && /dev/.backout/real/tool real; id -u > here", shims=stand)
    assert (ran.out, ran.code) == ("real\n", 0)
    assert Path(os.fsdecode(requests)).read_text() == "asked start\n"
    assert list(ran.recorded) == [place.path("here")]


def test_the_proxys_socket_is_served_from_outside(place: Any) -> None:
    """It is the only way out of the view's network."""
    program = "import socket, sys; print(socket.create_connection(('127.0.0.1', int(sys.argv[1]))).recv(9).decode())"
    heard: list[bytes] = []
    with (sandbox := place.sandbox(network="packages")):
        listener = sandbox.proxy_socket
        assert listener is not None

        def serve() -> None:
            with listener.accept()[0] as client:
                client.sendall(b"served")

        server = threading.Thread(target=serve)
        server.start()
        argv = [sys.executable, "-c", program, str(sandbox.proxy_port)]
        sandbox.run([word.encode() for word in argv], b"/", {}, lambda _, data: heard.append(data))
        server.join()
    sandbox.close(keep=False)
    assert b"".join(heard) == b"served\n"


def test_the_thread_that_made_a_view_may_end(place: Any) -> None:
    """PR_SET_PDEATHSIG would kill the view with the pool thread that forked it (A12)."""
    sandbox = place.sandbox()
    maker = threading.Thread(target=sandbox.__enter__)
    maker.start()
    maker.join()
    assert sandbox.run([b"true"], b"/", {b"PATH": b"/bin"}, lambda *_: None) == 0
    sandbox.close(keep=False)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_parents_end_is_the_views_end(
    place: Any, how: signal.Signals, processes_with: Callable[[str], Sequence[int]]
) -> None:
    """Ctrl-C leaves nothing; after a SIGKILL only stage folders may stay."""
    word = f"8765{os.getpid()}{how}"
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            place.run(f"setsid sleep {word} & sleep {word}")
        finally:
            os._exit(0)
    _until(lambda: len(processes_with(word)) > 1)
    os.kill(child, how)
    os.waitpid(child, 0)
    _until(lambda: not processes_with(word))
    assert place.root not in Path("/proc/self/mountinfo").read_text()
    left = os.listdir(place.path("state"))
    assert left == (["stage"] if how == signal.SIGKILL else [])


def _until(holds: Callable[[], object]) -> None:
    """Wait for what comes by itself; give up after five minutes."""
    until = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_command_that_fills_the_disk_is_ended_in_time(place: Any, in_child: Any) -> None:
    """The host needs the space more than a rehearsal does (A6)."""

    def inside() -> str:
        os.mkdir(place.path("memory"))
        tmpfs(os.fsencode(place.path("memory")), b"size=2m", NODEV)
        with pytest.raises(FailedError) as raised:
            place.run("head -c 3000000 /dev/zero > memory/big; sleep 1000")
        return raised.value.what + str(os.listdir(place.path("memory")))

    what = in_child(inside, own_mounts=True)
    assert "nearly out of space" in what
    assert what.endswith("[]")


def test_a_command_that_takes_too_long_is_ended(place: Any) -> None:
    """A rehearsal in a deployment must not hang for ever."""
    with pytest.raises(FailedError, match=r"longer than 0\.2 s"):
        place.run("sleep 1000", timeout_s=0.2)


def test_a_rehearsal_leaves_no_trace(place: Any, in_child: Any) -> None:
    """Law 1: no file, mount, process or time of the host changes."""

    def host() -> list[Any]:
        mounts = Path("/proc/self/mountinfo").read_text()
        times = [os.stat(path).st_mtime_ns for path in ("/", place.path("memory"))]
        return [mounts, sorted(os.listdir("/")), times, os.listdir(place.path("memory"))]

    def inside() -> list[Any]:
        os.mkdir(place.path("memory"))
        tmpfs(os.fsencode(place.path("memory")), b"size=8m")
        before = host()
        place.run("echo x > /new; rm /etc/hostname; echo x > memory/x; mkdir -p /run/new")
        return [before, host(), os.path.exists("/new"), os.path.exists("/etc/hostname"), os.listdir(place.state)]

    before, after, new, hostname, left = in_child(inside, own_mounts=True)
    assert after == before
    assert (new, hostname, left) == (False, True, [])
