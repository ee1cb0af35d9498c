"""Hosts that are reached by the real ssh: each an sshd in a network and mount namespace of its own.

The controller has such namespaces, too, with a home of its own; nothing of this machine's ssh is read or changed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from kit.cli import Backout

USER = 61235
"""The id of the ordinary user that every host has: deploy."""
_MARK = b"sys.stdin.buffer.raw"
"""What stands in the command line of every host half that was reached by ssh."""
_SYSTEM = {"bin", "boot", "dev", "etc", "lib", "lib64", "lost+found", "proc", "run", "sbin", "sys", "usr", "var"}
"""What a system has at its root; all else belongs to whoever uses this machine."""
_WAIT = "exec sleep infinity"
_SHELL = '#!/bin/sh\nexec /bin/sh "$@"\n'


def until(holds: Callable[[], object], what: str) -> None:
    """Wait for something that is sure to come; five minutes without it are a failure."""
    limit = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < limit, f"waited in vain for {what}"
        time.sleep(0.02)


def sh(*words: str) -> None:
    """Run a command that has to succeed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"


class Machine:
    """A process that holds namespaces, with a home and login shell of root's of its own; there after `await_start`."""

    def __init__(self, folder: Path, name: str, *script: str) -> None:
        self.folder, self.name = folder, name
        self.started: list[subprocess.Popen[bytes]] = []
        self.home = folder / "home"
        (self.home / ".ssh").mkdir(parents=True, mode=0o700)
        self.shell = folder / "login"
        self.log_in_with(_SHELL)
        lines = Path("/etc/passwd").read_text().splitlines()
        lines[0] = f"root:*:0:0:root:{self.home}:{self.shell}"
        (folder / "passwd").write_text("\n".join([*lines, f"deploy:*:{USER}:{USER}::{folder}/deploy:/bin/sh", ""]))
        own = f"mount --bind {folder}/passwd /etc/passwd; mount -t tmpfs tmpfs /dev/shm"
        first = f"set -e; {own}; hostname {name}; ip link set lo up"
        self.process = subprocess.Popen(
            ["unshare", "--net", "--mount", "--uts", "sh", "-c", "; ".join([first, *script])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def await_start(self) -> None:
        """Wait until all of the script was done: its last command writes the file `pid`."""
        until((self.folder / "pid").exists, f"{self.name} to come up")

    def log_in_with(self, shell: str) -> None:
        """Let root's login shell be this script."""
        beside = self.folder / "login.new"
        beside.write_text(shell)
        beside.chmod(0o755)
        beside.rename(self.shell)

    @property
    def enter(self) -> list[str]:
        """Give what to begin a command line with, to run it there."""
        pid = self.process.pid
        return ["nsenter", f"--net=/proc/{pid}/ns/net", f"--mount=/proc/{pid}/ns/mnt", f"--uts=/proc/{pid}/ns/uts"]

    def sh(self, *words: str) -> None:
        """Run a command there."""
        sh(*self.enter, *words)

    def start(self, *words: str) -> None:
        """Start a process there, which ends with it."""
        self.started.append(subprocess.Popen([*self.enter, *words], start_new_session=True, stdout=subprocess.DEVNULL))

    def stop(self) -> None:
        """End all that was started in it."""
        for pid in self.pids():
            _kill(pid)
        for process in (self.process, *self.started):
            process.wait()

    def pids(self) -> list[int]:
        """Name every process in its network."""
        ours = os.stat(f"/proc/{self.process.pid}/ns/net").st_ino
        found = []
        for entry in os.listdir("/proc"):
            try:
                if entry.isdigit() and os.stat(f"/proc/{entry}/ns/net").st_ino == ours:
                    found.append(int(entry))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return found


class Host(Machine):
    """One host: `ssh NAME` of the controller leads to it. `site` is its own disk, found at `World.site` there."""

    def __init__(self, folder: Path, name: str, site: Path, *network: str) -> None:
        folder.mkdir()
        self.state, self.cache = folder / "state", folder / "cache"
        self.new_key(folder)
        config = f"""
            HostKey {folder}/key
            PidFile {folder}/pid
            AuthorizedKeysFile {folder}/authorized
            StrictModes no
            UsePAM no
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            SetEnv BACKOUT_STATE={self.state} XDG_CACHE_HOME={self.cache} ONLY_THERE=yes
        """
        (folder / "sshd_config").write_text(config)
        os.makedirs("/run/sshd", 0o755, exist_ok=True)
        (folder / "deploy").mkdir()
        os.chown(folder / "deploy", USER, USER)
        self.sudoers = folder / "sudoers"
        self.sudoers.write_text("")
        self.sudoers.chmod(0o440)
        mounts = f"mount --bind {self.sudoers} /etc/sudoers; mount -t tmpfs -o mode=755,size=32m site {site}"
        super().__init__(folder, name, *network, mounts, f"exec /usr/sbin/sshd -D -e -f {folder}/sshd_config")
        self.site = Path(f"/proc/{self.process.pid}/root{site}")

    def new_key(self, folder: Path) -> None:
        """Give the host another key; a running sshd reads it when it is started anew."""
        (folder / "key").unlink(missing_ok=True)
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key"))

    @property
    def known(self) -> str:
        """Give the host's public key."""
        return " ".join((self.folder / "key.pub").read_text().split()[:2])

    def start_anew(self) -> None:
        """Let sshd read its keys and configuration once more."""
        (self.folder / "pid").unlink()
        os.kill(self.process.pid, signal.SIGHUP)
        self.await_start()

    def halves(self) -> list[int]:
        """Name the host halves that run there, without the processes beside them."""
        pythons = (pid for pid in self.pids() if _read(pid, "comm").startswith((b"python", b"platform-python")))
        found = {pid for pid in pythons if _MARK in _read(pid, "cmdline")}
        return sorted(pid for pid in found if _parent(pid) not in found)

    def stages(self) -> list[str]:
        """Name what rehearsals have left in its stage."""
        stage = self.state / "stage"
        return sorted(os.listdir(stage)) if stage.exists() else []

    def own(self, folder: Path | str, size: str = "64m") -> Path:
        """Give it a folder of its own there, where all hosts share one file system; gives the way to it from here."""
        self.sh("mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder))
        return self.inside(folder)

    def inside(self, path: Path | str) -> Path:
        """Give the way from here to a path there."""
        return Path(f"/proc/{self.process.pid}/root{path}")

    def end_sessions(self) -> None:
        """Kill what sshd has running for its connections: they are cut at once."""
        for pid in self.pids():
            if _read(pid, "comm").startswith(b"sshd") and pid != self.process.pid:
                _kill(pid)


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it has ended by itself
        os.kill(pid, signal.SIGKILL)


def _bare() -> str:
    """Give the mounts that hide what is not the system's: a developer's machine has Pythons by the dozen."""
    hidden = [f"/{name}" for name in sorted({*os.listdir("/")} - _SYSTEM) if os.path.isdir(f"/{name}")]
    return "; ".join(f"mount -t tmpfs -o mode=755 bare {path}" for path in [*hidden, "/var/tmp"])


def _address(number: int, last: int) -> str:
    """Give one of the two addresses of a host's cable, in 198.18.0.0/16."""
    return f"198.18.{number // 64}.{4 * (number % 64) + last}"


class World:
    """The controller and its hosts. `backout` is the command line as the controller has it."""

    def __init__(self, folder: Path, *, bare: bool = False) -> None:
        self.folder = folder
        self.first = [_bare()] if bare else []
        (folder / "controller").mkdir()
        self.site = folder / "site"
        """Where each host has a disk of its own; all else of the file system they share."""
        self.site.mkdir()
        self.controller = Machine(folder / "controller", "controller", f"echo $$ > {folder}/controller/pid", _WAIT)
        self.controller.await_start()
        self.hosts: dict[str, Host] = {}
        self.backout = Backout(folder)
        self.backout.environ |= {"XDG_RUNTIME_DIR": str(folder / "run"), "ONLY_HERE": "yes"}
        self.backout.enter = [*self.controller.enter, "env", "-C", str(self.backout.folder)]
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{self.ssh}/id_ed25519")
        self.configure("")

    @property
    def ssh(self) -> Path:
        """Give the controller's ~/.ssh."""
        return self.controller.home / ".ssh"

    def configure(self, more: str) -> None:
        """Write ~/.ssh/config: `more`, then what leads to the hosts."""
        entries = [
            f"Host {name}\n  HostName {self.address(name)}\n  User root\n  ConnectTimeout 2\n" for name in self.hosts
        ]
        (self.ssh / "config").write_text("".join([more, "\n", *entries]))

    def add(self, name: str) -> Host:
        """Start a host that the controller knows, and may log in to."""
        return self.add_all([name])[0]

    def add_all(self, names: Sequence[str]) -> list[Host]:
        """Start several, side by side."""
        begun = [self._begin(name) for name in names]
        for host in begun:
            host.await_start()
        numbers = range(len(self.hosts) - len(begun), len(self.hosts))
        near = "".join(f"address add {_address(n, 1)}/30 dev near{n}\nlink set near{n} up\n" for n in numbers)
        subprocess.run([*self.controller.enter, "ip", "-batch", "-"], input=near, text=True, check=True)
        with (self.ssh / "known_hosts").open("a") as file:
            file.writelines(self._known(host) for host in begun)
        self.configure("")
        return begun

    def _begin(self, name: str) -> Host:
        number = len(self.hosts)
        near = f"peer name near{number} netns {self.controller.process.pid}"
        host = Host(
            self.folder / name,
            name,
            self.site,
            *self.first,
            f"ip link add far{number} type veth {near}",
            f"ip address add {_address(number, 2)}/30 dev far{number}",
            f"ip link set far{number} up",
        )
        self.hosts[name] = host
        shutil.copy(self.ssh / "id_ed25519.pub", host.folder / "authorized")
        return host

    def address(self, name: str) -> str:
        """Give a host's address."""
        return _address(list(self.hosts).index(name), 2)

    def hide(self, name: str, behind: str, address: str) -> None:
        """Move a host to where only another one reaches it, at an address in 198.18.255.0/30."""
        host, jump = self.hosts[name], self.hosts[behind]
        self.cut(name)
        pid = str(host.process.pid)
        jump.sh("ip", "link", "add", "outer", "type", "veth", "peer", "name", "inner", "netns", pid)
        for machine, device, last in ((jump, "outer", "198.18.255.1"), (host, "inner", address)):
            machine.sh("ip", "address", "add", f"{last}/30", "dev", device)
            machine.sh("ip", "link", "set", device, "up")

    def know(self, host: Host) -> None:
        """Let the controller know a host's key."""
        with (self.ssh / "known_hosts").open("a") as file:
            file.write(self._known(host))

    def _known(self, host: Host) -> str:
        return f"{self.address(host.name)} {host.known}\n"

    def cut(self, name: str) -> None:
        """Take the cable out."""
        self.controller.sh("ip", "link", "set", f"near{list(self.hosts).index(name)}", "down")

    def mend(self, name: str) -> None:
        """Put it back."""
        self.controller.sh("ip", "link", "set", f"near{list(self.hosts).index(name)}", "up")

    def disconnect(self) -> None:
        """End the shared connections."""
        for pid in self.controller.pids():
            if pid != self.controller.process.pid:
                _kill(pid)

    def clients(self) -> list[int]:
        """Name the controller's ssh processes: those of commands, and those that hold shared connections."""
        return [pid for pid in self.controller.pids() if _read(pid, "comm") == b"ssh\n"]

    def environments(self, text: str) -> None:
        """Write backout.toml."""
        (self.backout.folder / "backout.toml").write_text(text)


@contextmanager
def world(*, bare: bool = False) -> Iterator[World]:
    """Give a world in a folder of its own on the root file system, and end all of it.

    The hosts of a bare one see the system, and nothing that else lies on this machine.
    """
    folder = Path(tempfile.mkdtemp(prefix="backout-ssh-", dir="/var/cache" if bare else "/var/tmp"))
    folder.chmod(0o755)
    made = World(folder, bare=bare)
    try:
        yield made
    finally:
        for machine in (made.controller, *made.hosts.values()):
            machine.stop()
        shutil.rmtree(folder)
