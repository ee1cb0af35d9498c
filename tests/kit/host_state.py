"""What a host is like at one moment, in named parts: an independent reading, to hold two moments against each other.

A rehearsal must leave every part as it was (law 1). Others work on the machine at the same time, so that each part says
what of it can be held to be still; what is left out is left out with its reason.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Part = dict[str, object]
State = dict[str, Part]

_AGAIN_S, _NEAR_S = 0.05, 0.5
_WHOLE = ("/etc", "/boot", "/var/spool/cron")
_SHALLOW = ("/", "/usr/bin", "/usr/sbin", "/usr/lib/systemd/system", "/dev")
_COUNTERS = ["fs/aio-nr", "fs/dentry-state", "fs/epoll", "fs/file-nr", "fs/inode-nr", "fs/inode-state", "fs/quota"]
_COUNTERS += ["kernel/ns_last_pid", "kernel/pty/nr", "kernel/random", "net/netfilter/nf_conntrack_count"]
_BY_ITSELF = ["kernel/perf_event_max_sample_rate", "vm/stat_refresh"]
"""The kernel lowers the one under load; to read the other makes it count anew."""
_MOVING = {*_COUNTERS, *_BY_ITSELF, "kernel/hostname", "kernel/domainname"}
"""What of /proc/sys is left out. The names are a part of their own."""
_BACKOUTS_OWN_MODULES = {"overlay", "veth"}
"""The first rehearsal after a boot may load them, and says so in `limits`."""
_KERNEL_FILES = ["sys/kernel/mm/transparent_hugepage/enabled", "sys/kernel/mm/ksm/run", "sys/kernel/uevent_helper"]
_KERNEL_FILES += ["sys/power/state", "sys/module/*/parameters/*", "proc/irq/default_smp_affinity", "proc/mtrr"]
_INODES = {"unix": 6, "tcp": 9, "tcp6": 9, "udp": 9, "udp6": 9, "raw": 9, "packet": 8}
"""The column of a socket's inode in each table of /proc/net."""
_FAILED = "cannot be read"


class Witness:
    """What an attempt would meet on the host: two processes, and sockets of every kind that hear who connects."""

    def __init__(self, folder: str) -> None:
        self.processes = [subprocess.Popen(["sleep", "1000"], user=user) for user in (0, 65534)]
        self.abstract, self.path = f"\0backout-test-{os.getpid()}-{time.monotonic_ns()}", folder + "/socket"
        self._sockets = [socket.socket(family) for family in (socket.AF_UNIX, socket.AF_UNIX, socket.AF_INET)]
        self._sockets[0].bind(self.abstract)
        self._sockets[1].bind(self.path)
        self._sockets[2].bind(("127.0.0.1", 0))
        for one in self._sockets:
            one.listen()
            one.setblocking(False)
        os.chmod(self.path, 0o777)
        self.port = int(self._sockets[2].getsockname()[1])
        self._heard = 0

    def heard(self) -> int:
        """Count who has connected so far."""
        for one in self._sockets:
            with suppress(BlockingIOError):
                while True:
                    one.accept()[0].close()
                    self._heard += 1
        return self._heard

    def end(self) -> None:
        """Let go of everything."""
        for one in self._sockets:
            one.close()
        for process in self.processes:
            process.kill()
            process.wait()


class HostState:
    """Reads the host, as the process sees it that asks. `folder` is the test's own; `state` is backout's in it."""

    def __init__(self, folder: str, state: str, witness: Witness) -> None:
        self.folder, self.state, self.witness = folder, state, witness
        self.home = os.getpid()
        self._lasting = [self.home, *_up(self.home, _living()), *(process.pid for process in witness.processes)]

    def read(self, parts: tuple[str, ...] = ()) -> State:
        """Read some parts; without a word all."""
        return {name: PARTS[name](self) for name in parts or PARTS}

    def since(self, before: State, settle_s: float = 2.0) -> dict[str, list[str]]:
        """Tell what is different now, by part. What goes by itself within two seconds was somebody else's."""
        until = time.monotonic() + settle_s
        found = differences(before, self.read())
        while found and time.monotonic() < until:
            time.sleep(_AGAIN_S)
            found = differences({name: before[name] for name in found}, self.read(tuple(found)))
        return found

    def tree(self) -> Part:
        """The test's folder, and folders of the system, by what lstat tells but the times of access.

        Of large folders the names, modes and owners alone: below / and /dev others write.
        """
        shown = {path: _file(path) for root in (self.folder, *_WHOLE) for path in _below(root)}
        for root in _SHALLOW:
            shown |= {path: _file(path, times=False) for path in (os.path.join(root, name) for name in _names(root))}
        inside = {path: "is there" for path in shown if path.startswith(self.state + "/")}
        shown.pop(self.state, None)  # it is backout's own; what is left in it counts by its name
        return {**shown, **inside}

    def processes(self) -> Part:
        """Processes that last as long as the test: the witness, ours and those above it; and whoever came to us.

        Any other process of the machine may end by itself. A daemon that a test leaves behind becomes a child of the
        test's process, which is a subreaper meanwhile.
        """
        shown: Part = {str(pid): _process(pid) for pid in self._lasting}
        parents = _living()
        reading = {os.getpid(), *_up(os.getpid(), parents), *(process.pid for process in self.witness.processes)}
        for pid, row in parents.items():
            if self.home in _up(pid, parents) and pid not in reading and row["state"] != "Z":
                shown[f"{pid} {row['comm']}"] = "is there"
        return shown

    def mounts(self) -> Part:
        """All of mountinfo."""
        return dict.fromkeys(Path("/proc/self/mountinfo").read_text(errors="replace").splitlines(), "is there")

    def sysctls(self) -> Part:
        """Everything in /proc/sys that can be read, but for what changes by itself."""
        shown: Part = {}
        for folder, folders, names in os.walk("/proc/sys"):
            at = os.path.relpath(folder, "/proc/sys")
            folders[:] = [name for name in folders if os.path.normpath(f"{at}/{name}") not in _MOVING]
            for name in (os.path.normpath(f"{at}/{name}") for name in names):
                if name not in _MOVING:
                    shown[name] = _content(f"/proc/sys/{name}")
        return shown

    def sockets(self) -> Part:
        """What listens, path or abstract names included, and is held by us or by nobody; and what the witness heard.

        Sockets of processes that are not ours come and go with them.
        """
        foreign = self._foreign_inodes()
        shown: Part = {"heard": self.witness.heard()}
        for kind, inode_at in (
            ("unix", 6),
            ("tcp", 9),
            ("tcp6", 9),
            ("udp", 9),
            ("udp6", 9),
            ("raw", 9),
            ("packet", 8),
        ):
            for fields in _table(f"/proc/net/{kind}"):
                listens = fields[3] in ("00010000", "0A") or not kind.startswith(("unix", "tcp"))
                if listens and fields[inode_at] not in foreign:
                    shown[f"{kind} {fields[inode_at]}"] = fields[7:] if kind == "unix" else fields[1]
        return shown

    def _foreign_inodes(self) -> set[str]:
        parents = _living()
        found = set()
        for pid in parents:
            if self.home not in {pid, *_up(pid, parents)}:
                with suppress(OSError):
                    for entry in os.scandir(f"/proc/{pid}/fd"):
                        with suppress(OSError):
                            found.add(os.readlink(entry.path).partition("socket:[")[2].rstrip("]"))
        return found

    def clock(self) -> Part:
        """The distance of the clock of the day from the others, within what a time service slews meanwhile."""
        now = time.clock_gettime
        offsets = {"since start": now(time.CLOCK_BOOTTIME), "atomic": now(time.CLOCK_TAI)}
        return {name: _Near(now(time.CLOCK_REALTIME) - other) for name, other in offsets.items()}

    def interfaces(self) -> Part:
        """Links, addresses, routes and rules, without lifetimes that run down."""
        shown: Part = {}
        for what in ("addr", "-4 route show table all", "-6 route show table all", "-4 rule", "-6 rule"):
            said = subprocess.run(["ip", "-j", *what.split()], capture_output=True, text=True, check=False)
            rows = json.loads(said.stdout or "[]", object_hook=_without_lifetimes)
            shown |= {f"{what} {row.get('ifname', number)}": row for number, row in enumerate(rows)}
        return shown

    def firewall(self) -> Part:
        """The generation of the nftables rules, which every change counts up; older tables as their tool saves them."""
        shown: Part = {"nftables generation": _nft_generation()}
        for family in ("ip", "ip6"):
            shown[f"{family} tables"] = _content(f"/proc/net/{family}_tables_names")
            tool = shutil.which(f"{family}tables-legacy-save")
            if tool and shown[f"{family} tables"]:
                said = subprocess.run([tool], capture_output=True, text=True, check=False).stdout
                shown[f"{family} rules"] = [line for line in said.splitlines() if line.startswith("-")]
        return shown

    def name(self) -> Part:
        """The host's name and domain."""
        names = ("hostname", "domainname")
        return {name: _content(f"/proc/sys/kernel/{name}") for name in names}

    def cgroups(self) -> Part:
        """Every control group but those of units, which the service manager makes and removes at any time; and ours."""
        units = (".service", ".scope", ".slice", ".mount", ".socket", ".swap", ".timer")
        found: Part = {}
        for folder, folders, _ in os.walk("/sys/fs/cgroup"):
            folders[:] = [name for name in folders if not name.endswith(units)]
            found[folder] = "is there"
        return {**found, "of the test": _content(f"/proc/{self.home}/cgroup")}

    def shared_memory(self) -> Part:
        """System V objects, and the names in /dev/shm and /dev/mqueue."""
        shown: Part = {}
        for kind in ("shm", "sem", "msg"):
            shown |= {f"{kind} {fields[1]}": fields[:4] for fields in _table(f"/proc/sysvipc/{kind}")}
        for folder in ("/dev/shm", "/dev/mqueue"):
            shown |= {f"{folder}/{name}": _file(f"{folder}/{name}") for name in _names(folder)}
        return shown

    def modules(self) -> Part:
        """Loaded modules, and built-in ones that have settings."""
        return dict.fromkeys(set(_names("/sys/module")) - _BACKOUTS_OWN_MODULES, "is there")

    def keys(self) -> Part:
        """Keys and keyrings that root may see, without the counts of who holds them just now."""
        return {fields[0]: fields[4:] for fields in _table("/proc/keys", heading=False)}

    def disks(self) -> Part:
        """Block devices, whether they are read-only and what loop devices show; swap, without how much is used."""
        shown: Part = {f"swap {fields[0]}": [fields[1], fields[2]] for fields in _table("/proc/swaps")}
        for name in _names("/sys/block"):
            files = ("ro", "size", "loop/backing_file", "queue/scheduler")
            shown[name] = [_content(f"/sys/block/{name}/{file}") for file in files]
        return shown

    def kernel_files(self) -> Part:
        """Settings of the kernel that lie elsewhere than in /proc/sys; what nobody may write there are counters."""
        found = [path for pattern in _KERNEL_FILES for path in Path("/").glob(pattern)]
        return {str(path): _content(str(path)) for path in found if path.stat().st_mode & 0o222}


PARTS: dict[str, Callable[[HostState], Part]] = {
    "tree": HostState.tree,
    "processes": HostState.processes,
    "mounts": HostState.mounts,
    "sysctls": HostState.sysctls,
    "sockets": HostState.sockets,
    "clock": HostState.clock,
    "interfaces": HostState.interfaces,
    "firewall": HostState.firewall,
    "name": HostState.name,
    "cgroups": HostState.cgroups,
    "shared memory": HostState.shared_memory,
    "modules": HostState.modules,
    "keys": HostState.keys,
    "disks": HostState.disks,
    "kernel files": HostState.kernel_files,
}


def differences(before: State, after: State) -> dict[str, list[str]]:
    """Tell by part what is not the same in two readings."""
    found = {}
    for part, was in before.items():
        now = after[part]
        names = sorted(name for name in {*was, *now} if was.get(name) != now.get(name))
        if names:
            found[part] = [f"{name}: {was.get(name)} -> {now.get(name)}" for name in names]
    return found


@contextmanager
def watched(folder: str, state: str) -> Iterator[HostState]:
    """Give a reader with its witness, and have orphans of the test come to the test meanwhile (prctl(2))."""
    libc, subreaper = ctypes.CDLL(None), 36
    witness = Witness(folder)
    libc.prctl(subreaper, 1, 0, 0, 0)
    try:
        yield HostState(folder, state, witness)
    finally:
        libc.prctl(subreaper, 0, 0, 0, 0)
        witness.end()


@contextmanager
def unchanged(folder: str, state: str) -> Iterator[HostState]:
    """Hold the whole host, as far as it can be read, against what it was before (law 1)."""
    with watched(folder, state) as host:
        before = host.read()
        yield host
        changed = host.since(before)
        assert changed == {}, changed


class _Near(float):
    """Seconds that count as the same when they are less than half a second apart."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and abs(float(self) - float(other)) < _NEAR_S

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]


def _below(root: str) -> Iterator[str]:
    yield root
    for folder, folders, names in os.walk(root):
        yield from (os.path.join(folder, name) for name in [*folders, *names])


def _file(path: str, *, times: bool = True) -> object:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    shown = (status.st_ino, oct(status.st_mode), status.st_uid, status.st_gid, status.st_rdev)
    return (*shown, status.st_mtime_ns, status.st_ctime_ns, status.st_size) if times else shown


def _names(folder: str) -> list[str]:
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def _content(path: str) -> str | None:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(1 << 16).decode(errors="replace")
    except OSError:
        return _FAILED if os.path.lexists(path) else None


def _table(path: str, *, heading: bool = True) -> list[list[str]]:
    lines = (_content(path) or "").splitlines()
    return [line.split() for line in lines[int(heading) :]]


def _stat(pid: int) -> dict[str, str]:
    said = _content(f"/proc/{pid}/stat")
    if not said or said == _FAILED:
        return {}
    comm, _, rest = said.partition("(")[2].rpartition(")")
    fields = rest.split()
    return {"comm": comm, "state": fields[0], "parent": fields[1], "nice": fields[16], "start": fields[19]}


def _living() -> dict[int, dict[str, str]]:
    rows = {int(pid): _stat(int(pid)) for pid in os.listdir("/proc") if pid.isdigit()}
    return {pid: row for pid, row in rows.items() if row}


def _up(pid: int, parents: dict[int, dict[str, str]]) -> list[int]:
    found = []
    while (row := parents.get(pid)) and row["parent"] != "0":
        pid = int(row["parent"])
        found.append(pid)
    return found


def _process(pid: int) -> object:
    row = _stat(pid)
    if not row or row["state"] == "Z":
        return None
    status = (_content(f"/proc/{pid}/status") or "").splitlines()
    return (
        row["start"],
        "stopped" if row["state"] in "Tt" else "runs",
        row["nice"],
        [line for line in status if line.startswith(("TracerPid", "Uid"))],
        _content(f"/proc/{pid}/oom_score_adj"),
        _content(f"/proc/{pid}/limits"),
        sorted(os.sched_getaffinity(pid)),
    )


def _without_lifetimes(row: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in row.items() if not key.endswith(("_life_time", "expires"))}


def _nft_generation() -> object:
    """Ask the kernel (linux/netfilter/nf_tables.h: NFT_MSG_GETGEN is 16, NFTA_GEN_ID the first attribute)."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as kernel:
            kernel.send(struct.pack("=LHHLL", 20, 10 << 8 | 16, 1, 0, 0) + struct.pack("=BBH", 0, 0, 0))
            said = kernel.recv(4096)
    except OSError as error:
        return error.strerror
    kind, generation = struct.unpack_from("=H", said, 4)[0], said[24:28]
    return generation.hex() if kind == 10 << 8 | 15 else "none"
