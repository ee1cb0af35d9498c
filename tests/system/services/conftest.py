"""Hosts of their own for these tests: one booted with real systemd as PID 1, one with init scripts only."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
CHECKOUT, SHOWN = str(HERE.parents[2]), "/mnt/source"
"""Where this checkout lies, and where each host sees it: it may lie below /tmp, which is another folder there."""
VIEW = f"{SHOWN}/tests/system/services/view.sh"
PYTHON = os.path.realpath(sys.executable)
"""Not the virtual environment's, for the same reason."""
SPACES = "--mount --pid --fork --kill-child --uts --ipc --net --cgroup"
# Reaps what is left to it, as a PID 1 must, and else does nothing.
IDLE = "import signal, time; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nwhile True: time.sleep(60)"
UNIT = """[Unit]
Description=A service for a test
DefaultDependencies=no
StartLimitIntervalSec=0
[Service]
ExecStart=/bin/sleep 100000
ExecReload=/bin/true
[Install]
WantedBy=test.target
"""


class Host(NamedTuple):
    """A host in namespaces of its own, by the process that is its PID 1."""

    pid: int

    def run(self, *argv: str, code: int | None = 0) -> str:
        """Run a command there; its output, both streams together. None takes every exit code."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-p", "-n", "-u", "-i", "-C", "env", "-i", "LC_ALL=C.UTF-8",
             "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *argv],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert code is None or done.returncode == code, (argv, done.returncode, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def python(self, text: str) -> str:
        """Run Python there, with this checkout's backout.host at hand, and give what it printed."""
        prelude = f"import sys; sys.path.insert(0, '{SHOWN}/src')\nfrom backout.host import services, shims, checks\n"
        prelude += "from backout.host.stage import Layer\nfrom backout.model.step import Service, undo\n"
        return self.run(PYTHON, "-I", "-c", prelude + text).strip()

    def write(self, path: str, content: str, mode: str = "644") -> None:
        """Write a file there."""
        self.run("sh", "-c", 'mkdir -p "${1%/*}" && printf %s "$2" >"$1" && chmod "$3" "$1"', "sh", path, content, mode)

    def view(self, debs: Path | None = None) -> View:
        """Prepare a view of it, as a rehearsal does; `debs` is a folder to be seen in it at /tmp/debs."""
        folder = self.run("mktemp", "-d", "/tmp/view.XXXXXX").strip()
        if debs is not None:
            shutil.copytree(debs, f"/proc/{self.pid}/root{folder}/debs")
        self.python(
            f"made = shims.build(b'{folder}/shims')\nmade.fill()\n"
            f"open('{folder}/real', 'wb').write(b''.join(n + b' ' + p + b'\\n' for n, p in made.real.items()))\n"
            f"open('{folder}/made', 'w').write(repr(tuple(made)))"
        )
        return View(self, folder)


class View(NamedTuple):
    """A view of a host over the stand-ins, in which commands are rehearsed."""

    host: Host
    folder: str

    def run(self, command: str, code: int | None = 0) -> str:
        """Run a shell command in it."""
        fresh = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--net")
        return self.host.run(*fresh, "sh", VIEW, self.folder, "sh", "-c", command, code=code)

    def requests(self) -> list[str]:
        """Give what was asked of the service manager so far, as `ACTION UNIT`."""
        text = f"print('\\n'.join(' '.join(r) for r in shims.read_requests(b'{self.folder}/shims/requests')))"
        return [line.strip() for line in self.host.python(text).splitlines()]

    def clean(self) -> str:
        """Take the stand-ins' traces out, and list what is left in the upper layer: mode type and path."""
        self.host.python(
            f"made = shims.Shims(*eval(open('{self.folder}/made').read()))\n"
            f"shims.remove_traces([Layer(b'/', b'{self.folder}')], made)"
        )
        return self.host.run("sh", "-c", f"cd {self.folder}/upper && find . ! -type d -printf '%y %P\\n' | sort")


def boot(folder: Path, init: list[str]) -> Iterator[Host]:
    """Start a host and end it, with everything in it."""
    group = (
        Path("/sys/fs/cgroup/unified" if Path("/sys/fs/cgroup/unified").is_dir() else "/sys/fs/cgroup") / folder.name
    )
    group.mkdir()
    enter = f'echo $$ >{group}/cgroup.procs; exec unshare {SPACES} "$@"'
    host = ("sh", str(HERE / "host.sh"), str(folder), CHECKOUT, *init)
    process = subprocess.Popen(["sh", "-c", enter, "sh", *host])
    try:
        yield Host(_first_child(process, init[0]))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        _remove(group)


def _first_child(process: subprocess.Popen[bytes], init: str) -> int:
    """Wait until PID 1 of the new host is its init."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for _ in range(30000):
        assert process.poll() is None, "the host did not come up"
        for child in children.read_text().split():
            if os.path.realpath(f"/proc/{child}/exe") == os.path.realpath(init):
                return int(child)
        time.sleep(0.01)
    raise AssertionError("the host's init did not start")


def _remove(group: Path) -> None:
    """Remove a control group; its processes are being killed by the kernel at this moment."""
    for _ in range(500):
        try:
            for folder, _, _ in os.walk(group, topdown=False):
                os.rmdir(folder)
        except OSError:
            time.sleep(0.01)
        else:
            return


@pytest.fixture(scope="module")
def systemd_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host with real systemd as PID 1, and a service `probe` that is enabled and runs."""
    folder = tmp_path_factory.mktemp("systemd-host")
    for host in boot(folder, ["/lib/systemd/systemd", "--unit=test.target", "systemd.unified_cgroup_hierarchy=1"]):
        for _ in range(5000):
            if "active" in host.run("systemctl", "is-active", "test.target", code=None).split():
                break
            time.sleep(0.02)
        host.write("/etc/systemd/system/probe.service", UNIT)
        host.run("systemctl", "enable", "--now", "probe")
        yield host


@pytest.fixture(scope="module")
def sysv_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host without systemd, in run level 2, in which nginx is started and cron is not."""
    for host in boot(tmp_path_factory.mktemp("sysv-host"), [PYTHON, "-I", "-c", IDLE]):
        host.run("rm", "/usr/sbin/runlevel")  # a link to systemctl, which a write would follow
        host.write("/usr/sbin/runlevel", "#!/bin/sh\necho N 2\n", "755")
        host.run("sh", "-c", "rm -f /etc/rc2.d/*nginx /etc/rc2.d/*cron")
        host.run("ln", "-s", "../init.d/nginx", "/etc/rc2.d/S01nginx")
        host.run("ln", "-s", "../init.d/cron", "/etc/rc2.d/K01cron")
        yield host


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages that own the tools that are stood in for."""
    folder = tmp_path_factory.mktemp("debs")
    folder.chmod(0o777)
    names = ("init-system-helpers", "systemd", "libsystemd-shared", "libsystemd0", "cron")
    subprocess.run(["apt-get", "download", "-qq", *names], cwd=folder, check=True, capture_output=True)
    return folder
