"""What it takes to know a host: a look at one and at fifty over real sshd, beside what others gather there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.contest import ROOT, Contender, Contest, Place

sys.path.insert(0, os.path.join(ROOT, "tests"))  # the hosts are the suite's

from kit.sshd import World, world

PEERS = ("ansible-core==2.19.14", "pyinfra==3.10.0")
"""What is measured beside; installed into a virtualenv that goes with the bench."""
FIFTY = 50
_SAME = ("os", "kernel", "debian-package", "user", "group", "mount", "locale", "sysctl", "cron")
"""The kinds of what pyinfra is asked for here, but for the hardware."""
_PLAY = "- hosts: all\n  gather_facts: true\n  tasks:\n    - ansible.builtin.package_facts:\n"
_ANSIBLE = f"[defaults]\nforks = {FIFTY}\n[ssh_connection]\npipelining = True\n"
_PYINFRA = """
from pyinfra import host
from pyinfra.facts import deb, hardware, server

for fact in (
    server.Hostname, server.Kernel, server.KernelVersion, server.LinuxDistribution, server.Arch, server.Users,
    server.Groups, server.Mounts, server.Locales, server.Sysctl, server.Crontab, deb.DebPackages,
    hardware.Cpus, hardware.Memory, hardware.NetworkDevices,
):
    assert host.get_fact(fact) is not None
"""
_NOTE = (
    "Each host is an sshd in namespaces of its own on this machine, which pays for both ends. It sees the machine's "
    "own system, and nothing that its users keep beside it. All use one OpenSSH configuration. "
    f"{', '.join(PEERS)}. ansible gathers `setup` and `package_facts`, with pipelining and {FIFTY} "
    "forks; pyinfra its facts of OS, kernel, packages, users, groups, mounts, locale, sysctl, cron and hardware. "
    "backout looks at all of that but the hardware in the first row; a whole look, in the second, also knows Python "
    "packages, services, timers, ports, certificates and what is watched, which the others are not asked for. "
    "Connections are shared where the tool does so (pyinfra makes new ones); in "
    "the row of the first contact neither connection nor host half nor anything known is there yet."
)


class _Field:
    """Hosts, and the tools in the controller's namespaces; `group` is an environment and what the others call it."""

    def __init__(self, place: Place, made: World) -> None:
        self.made = made
        self.bin = place.path("peers", "bin")
        if not os.path.isdir(self.bin):
            place.must(os.path.realpath(sys.executable), "-m", "venv", place.path("peers"))
            place.must(os.path.join(self.bin, "pip"), "install", "--quiet", *PEERS)
        self.groups = {"one": ["web0"], "fifty": [f"web{number}" for number in range(FIFTY)]}
        made.add_all(self.groups["fifty"])
        named = (f"[environments.{name}]\nhosts = {hosts}\n" for name, hosts in self.groups.items())
        made.environments("".join(named))
        self.folder = place.fresh("facts")
        files = {"play.yml": _PLAY, "ansible.cfg": _ANSIBLE, "look.py": _PYINFRA}
        for name, hosts in self.groups.items():
            files[name] = "\n".join([*hosts, ""])
            files[f"{name}.py"] = f"hosts = {hosts}\n"
        for name, content in files.items():
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
                file.write(content)

    def look(self, group: str, *words: str) -> None:
        """Look with backout."""
        done = self.made.backout("look", group, *words)
        if done.returncode:
            sys.exit(f"backout look: exit {done.returncode}\n{done.stdout}{done.stderr}")

    def forget(self, group: str) -> None:
        """Have no connection, and nothing on the hosts; connections of others are left alone."""
        shutil.rmtree(self.made.folder / "run", ignore_errors=True)
        for name in self.groups[group]:
            for folder in (self.made.hosts[name].state, self.made.hosts[name].cache):
                shutil.rmtree(folder, ignore_errors=True)

    def peer(self, *words: str) -> None:
        """Run another tool, as the controller's root."""
        home = str(self.made.controller.home)
        enter = [*self.made.controller.enter, "env", "-C", self.folder, f"HOME={home}"]
        words = (os.path.join(self.bin, words[0]), *words[1:])
        done = subprocess.run([*enter, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")

    def contest(self, group: str) -> Contest:
        """Compare what it takes to know the hosts of a group."""
        count = len(self.groups[group])
        same = tuple(word for kind in _SAME for word in ("--kind", kind))
        contenders = [
            Contender("backout look, at what pyinfra gathers", lambda: self.look(group, *same)),
            Contender("backout look, whole", lambda: self.look(group)),
            Contender("ansible-playbook", lambda: self.peer("ansible-playbook", "-i", group, "play.yml")),
            Contender("pyinfra", lambda: self.peer("pyinfra", "-y", f"{group}.py", "look.py")),
            Contender(
                "backout look, whole, at the first contact", lambda: self.look(group), lambda: self.forget(group)
            ),
        ]
        return Contest(f"Knowing {count} host{'s' * (count > 1)}", _NOTE if count == 1 else "As above.", contenders)


@contextmanager
def contests(place: Place) -> Iterator[tuple[Contest, Contest]]:
    """Give the contests over one host and over fifty, which are there as long."""
    with world(bare=True) as made:
        field = _Field(place, made)
        yield field.contest("one"), field.contest("fifty")
