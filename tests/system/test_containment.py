"""The line of the sandbox: what a rehearsed command may not reach, tried from inside with root's power."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from backout.errors import NotPossibleError
from backout.host import seccomp

ATTEMPT = """
import ctypes, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, *arguments):
    ctypes.set_errno(0)
    done = getattr(libc, name)(*arguments) >= 0
    print("done" if done else os.strerror(ctypes.get_errno()))
def python(function):
    try: function(); print("done")
    except OSError as error: print(error.strerror)
"""
NUMBERS = {"x86_64": {"keyctl": 250, "add_key": 248, "io_uring_setup": 425, "clone3": 435, "init_module": 175}}
NUMBERS["aarch64"] = {"keyctl": 219, "add_key": 217, "io_uring_setup": 425, "clone3": 435, "init_module": 105}
NUMBER = NUMBERS[os.uname().machine]

NOT_THERE, FORBIDDEN, READ_ONLY = "Function not implemented", "Operation not permitted", "Read-only file system"
ATTEMPTS = {
    "the keyring": (f"attempt('syscall', {NUMBER['keyctl']}, 0, -3, 1)", NOT_THERE),
    "a new key": (f"attempt('syscall', {NUMBER['add_key']}, b'user', b'n', b'v', 1, -3)", NOT_THERE),
    "io_uring, past the filter": (f"attempt('syscall', {NUMBER['io_uring_setup']}, 1, None)", NOT_THERE),
    "clone3, whose flags no filter sees": (f"attempt('syscall', {NUMBER['clone3']}, None, 0)", NOT_THERE),
    "the hypervisor": ("python(lambda: socket.socket(40, socket.SOCK_STREAM))", "not supported by protocol"),
    "the audit log": ("python(lambda: socket.socket(16, socket.SOCK_RAW, 9))", "Protocol not supported"),
    "the clock": ("python(lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()))", FORBIDDEN),
    "kernel modules": (f"attempt('syscall', {NUMBER['init_module']}, b'', 0, b'')", (FORBIDDEN, NOT_THERE)),
    "mounts": ("attempt('mount', b'x', b'/mnt', b'tmpfs', 0, None)", FORBIDDEN),
    "the masks": ("attempt('umount2', b'/proc/sys', 2)", FORBIDDEN),
    "a user namespace": ("attempt('unshare', 0x10000000)", FORBIDDEN),
    "a mount namespace": ("attempt('unshare', 0x20000)", FORBIDDEN),
    "a reboot": ("attempt('reboot', 0xfee1dead)", FORBIDDEN),
    "kernel settings": ("python(lambda: open('/proc/sys/kernel/core_pattern', 'w'))", READ_ONLY),
    "interrupts": ("python(lambda: open('/proc/irq/default_smp_affinity', 'w'))", READ_ONLY),
    "devices' settings": ("python(lambda: open('/sys/kernel/uevent_helper', 'w'))", READ_ONLY),
    "the sandbox's own program": ("python(lambda: os.chmod('/proc/1/exe', 0o777))", "Permission denied"),
    "the sandbox's own root": ("python(lambda: os.listdir('/proc/1/root'))", "Permission denied"),
    "raw disks": (
        "os.mknod('disk', 0o060600, os.stat('/').st_dev and os.makedev(7, 0)); python(lambda: open('disk', 'rb'))",
        "Permission denied",
    ),
    "raw disks through /dev": (
        "os.mknod('/dev/disk', 0o060600, os.makedev(7, 0)); python(lambda: open('/dev/disk', 'rb'))",
        "Permission denied",
    ),
    "files by handle": ("attempt('open_by_handle_at', os.open('/', 0), (ctypes.c_uint * 8)(8, 1), 0)", FORBIDDEN),
}


@pytest.mark.parametrize("what", ATTEMPTS)
def test_root_in_the_view_does_not_reach(place: Any, what: str) -> None:
    """Each is an object of the whole host, which no copy-on-write layer covers (D1, D2)."""
    script, answer = ATTEMPTS[what]
    ran = place.run(sys.executable, "-c", ATTEMPT + script)
    assert ran.err == ""
    assert ran.out.strip().endswith(answer)


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
