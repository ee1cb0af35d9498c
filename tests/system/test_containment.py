"""The line of the sandbox: what a rehearsed command may not reach, tried from inside with root's power.

Whatever an attempt is answered, the whole host is compared before and after it (`host_state`).
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from backout.errors import FailedError, NotPossibleError
from backout.host import seccomp
from backout.host.bounds import MOST_TASKS
from backout.host.mounting import bind, tmpfs
from kit.attempts import ATTEMPT, ATTEMPTS, READ_ONLY, tell
from kit.cli import Backout
from kit.host_state import HostState


@pytest.mark.parametrize("what", ATTEMPTS)
def test_root_in_the_view_does_not_reach(place: Any, host_state: HostState, what: str) -> None:
    """Each is an object of the whole host, which no copy-on-write layer covers (D1, D2)."""
    script, answer = ATTEMPTS[what]
    ran = place.run(sys.executable, "-c", ATTEMPT + script, env=tell(host_state))
    assert ran.err == ""
    assert ran.out.strip().endswith(answer)


@pytest.mark.usefixtures("host_state")
def test_a_signal_to_everything_reaches_nothing_of_the_host(place: Any) -> None:
    """`kill -9 -1` is one typing error away from `kill -9 -$pid`; nor does the view's first process mind signals."""
    numbers = " ".join(str(number) for number in range(1, 32))
    ran = place.run(f"setsid sleep 1000 & for n in {numbers}; do kill -$n 1; done; kill -9 -1; echo alive")
    assert ran.out == "alive\n"
    assert not [limit for limit in ran.limits if "left behind" in limit]


BOMBS = {
    "processes": "b() { b | b & }; b; sleep 1000",
    "threads": "python3 -c 'import threading, time; threading.stack_size(1 << 16)\n"
    "while True: threading.Thread(target=time.sleep, args=(1000,)).start()'",
}


@pytest.mark.usefixtures("host_state")
@pytest.mark.parametrize("what", BOMBS)
def test_a_fork_bomb_is_ended_while_the_host_still_has_room(place: Any, what: str) -> None:
    """No bound of the kernel's is for root, and at the end of the process numbers nobody can even log in."""
    most = 0

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.02):
            most = max(most, int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2]))

    ended = threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(FailedError) as raised:
        place.run("bash", "-c", BOMBS[what])
    ended.set()
    watcher.join()
    assert f"more than {MOST_TASKS} processes" in raised.value.what
    assert raised.value.state.startswith("Nothing was changed")
    assert MOST_TASKS // 2 < most < 6 * MOST_TASKS


def test_a_check_that_is_a_fork_bomb_is_ended(place: Any) -> None:
    """A check is a command like any other."""
    with place.sandbox() as sandbox:
        sandbox.freeze()
        with pytest.raises(FailedError, match="processes and threads"):
            sandbox.call(lambda: subprocess.run(["bash", "-c", BOMBS["processes"]], check=False).returncode)
    sandbox.close(keep=False)


@pytest.mark.usefixtures("host_state")
def test_a_daemon_that_minds_no_signal_is_ended_and_named(place: Any) -> None:
    """It has let go of all that bound it to the command, and would be a change of the host that no layer shows (D2)."""
    daemon = (
        "import os, signal, time\n"
        "for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)\n"
        "if os.fork(): os._exit(0)\n"
        "os.setsid(); os.chdir('/'); os.closerange(0, 99)\n"
        "if os.fork(): os._exit(0)\n"
        "open('/proc/self/comm', 'w').write('toy-daemon'); time.sleep(1000)"
    )
    ran = place.run("python3", "-c", daemon)
    assert any("toy-daemon" in limit for limit in ran.limits)


@pytest.mark.usefixtures("host_state")
def test_the_way_out_of_a_chroot_ends_at_the_views_root(place: Any) -> None:
    """The example of chroot(2): a directory held open leads out of a later chroot, here no further than the view."""
    script = (
        "import os; os.mkdir('jail'); held = os.open('.', os.O_RDONLY); os.chroot('jail'); os.fchdir(held)\n"
        "for _ in range(99): os.chdir('..')\n"
        "os.chroot('.'); open('/backout-test-escaped', 'w').write('out')"
    )
    ran = place.run("python3", "-c", script)
    assert (ran.code, ran.recorded) == (0, {"/backout-test-escaped": "out"})


def test_a_command_that_uses_up_the_inodes_is_ended_in_time(place: Any, in_child: Any) -> None:
    """A disk is full in two ways; the host's own file system is never at stake here (A6)."""

    def inside() -> list[Any]:
        os.mkdir(place.path("memory"))
        tmpfs(os.fsencode(place.path("memory")), b"size=32m,nr_inodes=9000")
        before = os.statvfs(place.path("memory")).f_ffree
        with pytest.raises(FailedError) as raised:
            place.run("cd memory; i=0; while :; do i=$((i+1)); : > $i; done")
        return [raised.value.what, raised.value.state, before - os.statvfs(place.path("memory")).f_ffree]

    what, state, left = in_child(inside, own_mounts=True)
    assert "nearly out of inodes" in what
    assert state.startswith("Nothing was changed")
    assert left == 0


@pytest.mark.usefixtures("host_state")
def test_memory_in_the_view_has_an_end(place: Any) -> None:
    """A log to a mistyped /dev/nul fills the host's memory; so does /dev/shm, which is no larger than the host's."""
    ran = place.run("head -c 9000000 /dev/zero > /dev/nul; stat -fc %b /dev/shm; cat /proc/self/oom_score_adj")
    assert "No space left on device" in ran.err
    blocks, preferred = map(int, ran.out.split())
    assert blocks <= min(os.statvfs("/dev/shm").f_blocks, os.sysconf("SC_PHYS_PAGES") // 2 + 1)
    assert preferred == 1000


def test_a_host_that_runs_out_of_memory_ends_the_command(place: Any, in_child: Any) -> None:
    """What the kernel then ends would be its choice; the memory is told here by a stand-in for /proc/meminfo."""
    fake = place.write("meminfo", Path("/proc/meminfo").read_text())

    def run_out(*_: object) -> None:
        Path(fake).write_text("MemAvailable: 9000 kB\nSwapFree: 0 kB\n")

    def inside() -> list[str]:
        bind(os.fsencode(fake), b"/proc/meminfo")
        with place.sandbox() as sandbox, pytest.raises(FailedError) as raised:
            sandbox.run([b"sh", b"-c", b"echo begun; sleep 1000"], b"/", {b"PATH": b"/bin"}, run_out)
        sandbox.close(keep=False)
        return [raised.value.what, raised.value.state, *os.listdir(place.state)]

    what, state = in_child(inside, own_mounts=True)
    assert "nearly out of memory" in what
    assert state.startswith("Nothing was changed")


def test_what_is_rehearsed_runs_with_the_callers_turn_and_no_better(place: Any, in_child: Any) -> None:
    """Those who watch are given their turn before others (`bounds`); the command must not inherit that."""

    def inside() -> Any:
        os.nice(3)
        before = (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)
        ran = place.run("cut -d' ' -f19,40,41 /proc/self/stat")  # nice, priority and policy: proc_pid_stat(5)
        return [ran.out, before == (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority), os.nice(0)]

    assert in_child(inside) == ["3 0 0\n", True, 3]


def test_no_process_of_the_host_is_seen_or_reached(place: Any) -> None:
    """A signal, or a name in /proc, would lead out (D2)."""
    ran = place.run(f"ls -d /proc/[0-9]* | wc -l; kill -0 {os.getpid()}")
    assert int(ran.out) <= 5
    assert ran.code != 0


def test_nothing_of_the_state_is_seen(place: Any) -> None:
    """The ledger and the stages are no business of a command, and writing to them would be a change."""
    os.mkdir(place.state)
    Path(os.fsdecode(place.state), "ledger").write_text("secret")
    ran = place.run("ls -A state; touch state/x")
    assert ran.out == ""
    assert READ_ONLY in ran.err


def test_the_parents_descriptors_are_closed(place: Any) -> None:
    """An open directory of the host is a way past the view."""
    held = os.open("/", os.O_RDONLY)
    os.set_inheritable(held, True)
    ran = place.run("ls -l /proc/self/fd /proc/$$/fd | grep -c ' -> /$'; true")
    os.close(held)
    assert ran.out == "0\n"


def test_standard_input_is_not_the_hosts_file(place: Any) -> None:
    """Through /proc/self/fd/0 root could open the live file anew, for writing."""
    path = place.write("input", "text")
    with open(path, "rb") as file:
        ran = place.run("cat; echo overwritten > /proc/self/fd/0", stdin=file.fileno())
    assert ran.out == "text"
    assert Path(path).read_text() == "text"


def test_tools_that_need_root_still_work(place: Any) -> None:
    """What is kept is what package managers need: owners, modes, capabilities, device nodes, other users."""
    ran = place.run(
        "touch f && chown nobody f && chmod 4755 f && mknod null c 1 3 && cp /bin/true t && setcap cap_net_raw+ep t && "
        "chroot / true && su nobody -s /bin/sh -c true && nice -n -5 true && rm -rf /usr/share/doc"
    )
    assert (ran.code, ran.err) == (0, "")


def test_a_32_bit_call_does_not_get_round_the_filter(place: Any) -> None:
    """On x86-64 every process may make i386 system calls, which have other numbers."""
    machine = os.uname().machine
    code = (
        "import ctypes, mmap\n"
        # mov eax, 288 (keyctl); xor ebx, ebx; mov ecx, -3; mov edx, 1; int 0x80; ret
        "code = bytes.fromhex('53b82001000031dbb9fdffffffba01000000cd805bc3')\n"
        "memory = mmap.mmap(-1, 4096, prot=7); memory.write(code)\n"
        "print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))())\n"
        if machine == "x86_64"
        else "print(-38)"
    )
    assert place.run(sys.executable, "-c", code).out == "-38\n"


def test_an_unknown_machine_is_refused() -> None:
    """A filter of wrong numbers would be worse than none."""
    with pytest.raises(NotPossibleError, match="vax"):
        seccomp.program("vax")


def test_the_hosts_network_is_out_of_reach(place: Any) -> None:
    """A service on this host's loopback is a live one."""
    program = "import http.server; s = http.server.HTTPServer(('127.0.0.1', 0), None); print(s.server_port, flush=True)"
    server = subprocess.Popen([sys.executable, "-c", program + "; s.serve_forever()"], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        connect = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
        ran = place.run(sys.executable, "-c", connect)
    finally:
        server.send_signal(signal.SIGKILL)
        server.communicate()
    assert "Connection refused" in ran.err


def test_the_hosts_name_and_messages_are_its_own(place: Any) -> None:
    """System V queues and the host name live in namespaces of their own."""
    libc = ctypes.CDLL(None)
    queue = libc.msgget(time.monotonic_ns() % (1 << 30) + 1, 0o1600)
    try:
        ran = place.run("ipcs -q | grep -c 0x; true")
    finally:
        libc.msgctl(queue, 0, None)
    assert ran.out == "0\n"


TRIED = {
    "mount": "mount('x', '/mnt', 'tmpfs', 0, None)",
    "umount2": "umount2('/mnt', 0)",
    "swapon": "swapon('x', 0)",
    "swapoff": "swapoff('x')",
    "init_module": "init_module('', 0, '')",
    "delete_module": "delete_module('x', 0)",
    "clock_settime": "clock_settime(0, (ctypes.c_long * 2)(1, 0))",
    "sethostname": "sethostname('x', 1)",
    "setdomainname": "setdomainname('x', 1)",
    "reboot": "reboot(0)",
    "acct": "acct('x')",
}
"""System calls of `refused` as the C library has them, so that the name is not ours."""
TELLS = "The command tried what a rehearsal refuses, so that its effect is not known: "


@pytest.mark.usefixtures("host_state")
def test_what_was_refused_is_named(place: Any) -> None:
    """A report that is silent about it would say that the command does less than it does."""
    calls = "; ".join(f"libc.{call}" for call in TRIED.values())
    ran = place.run("python3", "-c", f"import ctypes; libc = ctypes.CDLL(None); {calls}")
    assert (ran.code, ran.err) == (0, "")
    (limit,) = ran.limits
    assert limit.startswith(f"{TELLS}mounting (mount, umount2), ")
    named = re.findall(r"\(([a-z_2, ]+)\)", limit)
    assert sorted(", ".join(named).split(", ")) == sorted(TRIED)


def test_who_tries_nothing_is_told_nothing(place: Any) -> None:
    """A limit that stands in every report is read in none."""
    assert place.run("ls > list; su nobody -s /bin/sh -c true; unshare -m true || true").limits == []


def test_the_refused_get_the_same_answer_where_the_kernel_asks_nobody(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before Linux 5.0, or below another listener: refused all the same, and not told."""
    monkeypatch.setattr("backout.host.refused._NEW_LISTENER", 1 << 30)
    ran = place.run("mount -t tmpfs none /mnt || hostname toy")
    assert ran.code != 0
    assert ran.limits == []


def test_many_who_are_refused_at_once_all_get_their_answer(place: Any) -> None:
    """Nobody is left waiting: neither those that are killed while they ask, nor those that ask when all is over."""
    mount = "import ctypes\nwhile True: ctypes.CDLL(None).mount(b'x', b'/mnt', b'tmpfs', 0, None)"
    ran = place.run(
        f'for i in 1 2 3 4; do timeout -s KILL 0.2 python3 -c "{mount}" & done; wait; python3 -c "{mount}" &'
    )
    assert ran.code == 0
    assert any(limit.startswith(f"{TELLS}mounting (mount)") for limit in ran.limits)


def test_a_report_names_what_was_refused(backout: Backout) -> None:
    """As a person meets it: a set-up script that mounts goes on without, and the report says so."""
    document, _ = backout.json("rehearse", "--network", "none", "--", "mount -t tmpfs none /mnt || echo 3 > app.conf")
    assert [limit for limit in document["limits"] if limit.startswith(f"{TELLS}mounting (")]
