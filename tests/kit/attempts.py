"""Ways out of a rehearsal, each as a line of Python that is run in it, and what root is answered there.

An answer ends what the attempt prints. `done` is what goes through and must be the view's own: the host is compared.
"""

from __future__ import annotations

import os

from kit.host_state import HostState

ATTEMPT = r"""
import ctypes, os, socket, struct, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
PID, PORT = int(os.environ["PID"]), int(os.environ["PORT"])
def attempt(name, *arguments):
    ctypes.set_errno(0)
    done = getattr(libc, name)(*arguments) >= 0
    print("done" if done else os.strerror(ctypes.get_errno()))
def python(function):
    try: function(); print("done")
    except OSError as error: print(error.strerror)
def write(path, text=""):
    python(lambda: open(path, "w").write(text))
def connect(family, address):
    python(lambda: socket.socket(family).connect(address))
def bus(path):
    said = subprocess.run(["busctl", "--address=unix:path=" + path, "list"], stderr=subprocess.PIPE, text=True)
    return said.stderr.strip()
def settings():
    number = 0
    for folder, _, names in os.walk("/proc/sys"):
        for name in names:
            try: os.close(os.open(os.path.join(folder, name), os.O_WRONLY)); number += 1
            except OSError: pass
    return number
def nft():
    parts = [(16, 0, b"", 10), (10 << 8, 4, struct.pack("=HH4s", 8, 1, b"toy"), 0), (17, 0, b"", 10)]
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    kernel.send(b"".join(struct.pack("=LHHLLBBH", 20 + len(b), k, 1 | f, i, 0, 1, 0, socket.htons(r)) + b
        for i, (k, f, b, r) in enumerate(parts)))
    number = -struct.unpack_from("=i", kernel.recv(4096), 16)[0]
    if number: raise OSError(number, os.strerror(number))
"""
"""What an attempt begins with: it prints `done`, or why not."""

NUMBERS = {"x86_64": {"keyctl": 250, "add_key": 248, "io_uring_setup": 425, "clone3": 435, "init_module": 175}}
NUMBERS["aarch64"] = {"keyctl": 219, "add_key": 217, "io_uring_setup": 425, "clone3": 435, "init_module": 105}
NUMBER = NUMBERS[os.uname().machine]

REFUSED, NO_PROCESS, NO_FILE = "Connection refused", "No such process", "No such file or directory"
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
    "the clock, slewed": ("attempt('adjtimex', (ctypes.c_long * 64)(0x4000, 10001))", FORBIDDEN),
    "the host's name": ("python(lambda: socket.sethostname('toy'))", FORBIDDEN),
    "the domain": ("attempt('setdomainname', b'toy', 3)", FORBIDDEN),
    "swap": ("attempt('swapon', b'/proc/self/exe', 0)", FORBIDDEN),
    "process accounting": ("attempt('acct', b'/dev/null')", FORBIDDEN),
    "the magic key": ("write('/proc/sysrq-trigger', 'h')", (READ_ONLY, NO_FILE)),
    "every kernel setting": ("print(settings())", "0"),
    "suspending": ("write('/sys/power/state', 'toy')", (READ_ONLY, NO_FILE)),
    "a signal to a process of the host": ("python(lambda: os.kill(PID, 9))", NO_PROCESS),
    "a handle of a process of the host": ("python(lambda: os.pidfd_open(PID))", NO_PROCESS),
    "tracing a process of the host": ("attempt('ptrace', 0x4206, PID, None, None)", NO_PROCESS),
    "tracing the view's first process": ("attempt('ptrace', 0x4206, 1, None, None)", FORBIDDEN),
    "the limits of a process of the host": (
        "import resource; python(lambda: resource.prlimit(PID, resource.RLIMIT_CPU, (9, 9)))",
        NO_PROCESS,
    ),
    "the turn of everything of root's": ("python(lambda: os.setpriority(os.PRIO_USER, 0, 19))", "done"),
    "the root of a process of the host": ("python(lambda: os.listdir(f'/proc/{PID}/root'))", NO_FILE),
    "the first process' namespaces": ("python(lambda: os.open('/proc/1/ns/mnt', 0))", "Permission denied"),
    "the loopback": ("connect(socket.AF_INET, ('127.0.0.1', PORT))", REFUSED),
    "an abstract socket": ("connect(socket.AF_UNIX, chr(0) + os.environ['ABSTRACT'])", REFUSED),
    "a socket by its path": ("connect(socket.AF_UNIX, os.environ['SOCKET'])", REFUSED),
    "a message bus": ("print(bus(os.environ['SOCKET']))", REFUSED),
    "control groups": ("python(lambda: os.mkdir('/sys/fs/cgroup/toy'))", READ_ONLY),
    "the control groups anew": ("attempt('mount', b'x', b'/mnt', b'cgroup2', 0, None)", FORBIDDEN),
    "an interface": ("os.system('ip link add toy type veth 2>&1')", FORBIDDEN),
    "the loopback's state": ("os.system('ip link set lo down 2>&1')", FORBIDDEN),
    "a firewall rule": ("python(nft)", FORBIDDEN),
    "an old firewall rule": (
        "python(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 255).setsockopt(0, 64, bytes(99)))",
        FORBIDDEN,
    ),
    "the kernel's log": ("write('/dev/kmsg', 'toy')", "done"),
    "the kernel's memory": ("os.mknod('memory', 0o020600, os.makedev(1, 1)); write('memory')", "Permission denied"),
    "a loop device": ("os.mknod('loop', 0o020600, os.makedev(10, 237)); write('loop')", "Permission denied"),
    "an attribute of the root folder": (
        "import fcntl; python(lambda: fcntl.ioctl(os.open('/', 0), 0x40086602, struct.pack('l', 0x10)))",
        FORBIDDEN,
    ),
    "a queue": ("attempt('msgget', 7, 0o1600)", "done"),
    "a segment": ("attempt('shmget', 7, 4096, 0o1600)", "done"),
    "shared memory by name": ("write('/dev/shm/toy', 'toy')", "done"),
    "files by handle": ("attempt('open_by_handle_at', os.open('/', 0), (ctypes.c_uint * 8)(8, 1), 0)", FORBIDDEN),
}
PRIVATE = ("the kernel's log", "a queue", "a segment", "shared memory by name", "the turn of everything of root's")
"""What is done in the view, with what is the view's own."""


def tell(host: HostState) -> dict[bytes, bytes]:
    """Tell an attempt what there is to be reached."""
    witness = host.witness
    told = {"PID": witness.processes[0].pid, "PORT": witness.port, "ABSTRACT": witness.abstract[1:]}
    return {name.encode(): os.fsencode(str(value)) for name, value in {**told, "SOCKET": witness.path}.items()}
