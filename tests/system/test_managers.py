"""Puppet and Ansible through the command line: what they see in a rehearsal, and what they do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.cli import Backout
from kit.machine import Listing, absent, differing, installed, listing
from kit.picture import difference, picture

USER, USER_ID = "backout-test", 61177
ACCOUNTS = ("--expect", f"user:{USER}", "--expect", f"group:{USER}")
OK_EXIT = ("--ok-exit", "0,2")
"""`puppet apply --detailed-exitcodes`: 2 says that there were changes, and that is success."""

MANIFEST = """
file {{ '{folder}/app.conf':
  ensure  => file,
  content => "workers = 4\\nbind = ${{facts['networking']['ip']}}\\nunder = ${{facts['virtual']}}\\n",
}}
exec {{ 'seed': command => '/bin/sh -c "echo seeded > {folder}/seed"', creates => '{folder}/seed' }}
user {{ '{user}': ensure => present, uid => {uid}, home => '/nonexistent', shell => '/usr/sbin/nologin' }}
package {{ '{package}': ensure => installed }}
service {{ 'cron': ensure => running, enable => true }}
"""

TEMPLATE = """bind = {{ ansible_default_ipv4.address }}
manager = {{ ansible_service_mgr }}
interfaces = {{ ansible_interfaces | sort | join(' ') }}
"""
PLAYBOOK = """
- hosts: localhost
  connection: local
  tasks:
    - template: {{src: bind.conf.j2, dest: "{folder}/bind.conf", mode: "0640"}}
    - copy: {{content: "hello", dest: "{folder}/motd", mode: "0644"}}
    - lineinfile: {{path: "{folder}/app.conf", regexp: "^workers", line: "workers = 8"}}
    - user: {{name: {user}, uid: {uid}, create_home: false, home: /nonexistent, shell: /usr/sbin/nologin}}
    - service_facts:
    - copy: {{content: "{{{{ ansible_facts.services['cron'].state | default('none') }}}}", dest: "{folder}/cron-state"}}
    - apt: {{name: {package}, state: present}}
    - pip: {{name: idna, virtualenv: "{venv}"}}
"""

DIFFERS = {
    r"memory\..*|.*mem(ory_mb|free_mb|avail).*|.*swapfree_mb": "what is free changes from second to second",
    r"load_averages\..*|ansible_loadavg\..*": "the load changes from second to second",
    r"system_uptime\..*|ansible_uptime_seconds|ansible_date_time\..*": "time passes",
    r"processors\.speed": "a processor's clock follows the load",
    r"mountpoints\..*|ansible_mounts": "the view is made of overlays, with the small mounts that a sandbox needs",
    r"ansible_env\.(https?|no)_proxy|ansible_env\.(HTTPS?|NO)_PROXY": "the one way out of a rehearsal is a proxy",
    r"ansible_system_capabilities(_enforced)?": "what could change the kernel itself is dropped",
    r"ansible_virtualization_tech_host": "/dev/kvm is a way into the kernel, and the view's /dev has it not",
    r"ansible_\w+\.(speed|pciid|module|features|hw_timestamp_filters|phc_index|timestamping)": "a stand-in interface "
    "is made of software",
}
"""The facts that may differ inside a rehearsal, each with the reason. A difference that is not here is a defect."""


PUPPETS_OWN = ("file:/var/cache/puppet/state", "file:/var/lib/puppet/ssl")
"""Folders of its package to which Puppet gives another mode in its first run on a machine."""


@pytest.fixture
def backout(tmp_path: Path) -> Iterator[Backout]:
    """Give the command line in a folder with a file to change; afterwards nothing stands, whatever happened."""
    backout = Backout(tmp_path)
    backout.environ |= {"DEBIAN_FRONTEND": "noninteractive", "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}
    (backout.folder / "app.conf").write_text("workers = 2\nport = 80\n")
    yield backout
    while backout("back", "--discard-edits").returncode == 0:
        pass


@pytest.fixture(scope="session")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of Ansible's programs, in an environment of its own."""
    folder = tmp_path_factory.mktemp("ansible") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    quiet = ["-q", "--disable-pip-version-check", "ansible-core"]
    subprocess.run([folder / "bin" / "pip", "install", *quiet], check=True, capture_output=True)
    return folder / "bin"


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Give every leaf of a document of facts, by its dotted name; lists are taken in no order."""
    if isinstance(value, dict):
        return {key: leaf for part in value for key, leaf in flat(value[part], f"{name}.{part}".lstrip(".")).items()}
    return {name: sorted(map(repr, value)) if isinstance(value, list) else value}


def facts_of(text: str) -> dict[str, Any]:
    """Read the facts out of what a program printed; after them our own report may follow."""
    found, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    return flat(found.get("ansible_facts", found))


def unexplained(backout: Backout, *command: str) -> dict[str, tuple[Any, Any]]:
    """Gather facts outside and inside a rehearsal; give what differs and may not."""
    outside = subprocess.run(
        command, cwd=backout.folder, env=backout.environ, capture_output=True, text=True, check=False, timeout=300
    )
    inside = backout("rehearse", "--allow-failure", "--", *command)
    one, other = facts_of(outside.stdout), facts_of(inside.stdout)
    assert len(one) > 50
    differing = {name for name in {*one, *other} if one.get(name) != other.get(name)}
    known = re.compile("|".join(f"(?:{pattern})" for pattern in DIFFERS))
    return {name: (one.get(name), other.get(name)) for name in sorted(differing) if not known.fullmatch(name)}


def test_facter_tells_the_same_facts_in_a_rehearsal(backout: Backout) -> None:
    """Traps A8: a manifest decides by its facts, so other facts would be other bytes, and those would be promoted."""
    assert unexplained(backout, "facter", "--json") == {}


def test_ansible_tells_the_same_facts_in_a_rehearsal(backout: Backout, ansible: Path) -> None:
    """Traps A8: Ansible's service manager came out wrong and its address was missing, before the view had them."""
    assert unexplained(backout, str(ansible / "ansible"), "localhost", "-c", "local", "-m", "setup") == {}


def test_the_view_names_the_devices_of_the_host(backout: Backout) -> None:
    """Traps A8: what monitors disks is configured from this; overlays named as such would leave every disk out."""
    names = ("findmnt", "--noheadings", "--raw", "--output", "SOURCE", "--target", "/etc")
    assert backout("rehearse", "--network", "none", "--", *names).stdout.splitlines()[0] == said(*names)


def test_questions_about_services_are_answered_as_on_the_host(backout: Backout) -> None:
    """Traps A9: the host is asked at the first question only, so several at once must all get its answer."""
    ask = "service cron status >/dev/null 2>&1; echo cron $?"
    outside = subprocess.run(["sh", "-c", ask], capture_output=True, text=True, check=True).stdout
    done = backout("rehearse", "--network", "none", "--", f"for one in 1 2 3 4; do ({ask}) & done; wait")
    assert [line + "\n" for line in done.stdout.splitlines() if line.startswith("cron ")] == [outside] * 4


def test_a_check_may_ask_about_services_in_a_rehearsal(backout: Backout) -> None:
    """It runs in a view of its own, which must be answered, too: else it would wait until its time is over."""
    (backout.folder / "backout.toml").write_text(
        '[environments.here]\nhosts = ["local"]\n[[environments.here.checks]]\nname = "asks"\n'
        'run = "service cron status || true"\nwithin = "30s"\n'
    )
    document, code = backout.json("rehearse", "--network", "none", "--", "true")
    assert (code, [check["result"] for check in document["checks"]]) == (0, ["healthy", "healthy"])


def effects(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the effects by kind and subject."""
    return {f"{effect['kind']}:{effect['subject']}": effect for effect in document["effects"]}


def said(*command: str | Path) -> str:
    """Run a program of this machine, and give what it says."""
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300).stdout.strip()


def cron_runs() -> bool:
    """Ask the service manager of this machine, without the product."""
    return subprocess.run(["service", "cron", "status"], capture_output=True, check=False).returncode == 0


class Before:
    """The machine, and some folders to the byte, as they were."""

    def __init__(self, *folders: Path) -> None:
        """Take them down."""
        self._folders = {folder: picture(folder) for folder in folders}
        self._machine = self._listing()

    def changed(self) -> list[Any]:
        """Name what is not so any more."""
        paths = [difference(before, picture(folder)) for folder, before in self._folders.items()]
        return [*differing(self._machine, self._listing()), *(path for found in paths for path in found.items())]

    @staticmethod
    def _listing() -> Listing:
        return listing("/etc", "/usr", "/var/lib/dpkg")


def test_a_manifest_is_rehearsed_applied_and_taken_back(backout: Backout, tmp_path: Path) -> None:
    """The first half of the story: what `puppet apply --noop` cannot say is said, done, and undone."""
    package, folder, ran = absent("hello", "figlet", "cowsay"), backout.folder, cron_runs()
    manifest = tmp_path / "site.pp"
    manifest.write_text(MANIFEST.format(folder=folder, user=USER, uid=USER_ID, package=package))
    before = Before(folder)
    words = (*OK_EXIT, "--", "puppet", "apply", "--detailed-exitcodes", str(manifest))
    document, code = backout.json("rehearse", *words)
    assert (code, document["exit_code"]) == (0, 2), document
    assert before.changed() == []
    found = effects(document)
    service = found.pop("service:cron.service", {"after": {}})["after"]
    assert service.get("requests", []) == ([] if ran else ["start"])
    for name in PUPPETS_OWN:
        found.pop(name, None)
    own = {f"debian-package:{package}", f"user:{USER}", f"group:{USER}", f"file:{folder}/seed"}
    assert own <= set(found)
    assert {name.partition(":")[2].partition("#")[0] for name in set(found) - own} == {f"{folder}/app.conf"}
    yes = (f"file:{folder}/*", f"debian-package:{package}", "service:cron*", *PUPPETS_OWN)
    done, code = backout.json("run", *ACCOUNTS, *expect(*yes), *words)
    assert code == 0, done
    assert done["digest"] == document["digest"]
    assert f"bind = {said('facter', 'networking.ip')}\n" in (folder / "app.conf").read_text()
    assert (folder / "seed").read_text() == "seeded\n"
    assert said("id", "-u", USER) == str(USER_ID)
    assert installed(package)
    assert cron_runs()
    undone, code = backout.json("back")
    assert code == 0, undone
    assert before.changed() == []
    assert cron_runs() == ran


def test_a_playbook_is_rehearsed_applied_and_taken_back(backout: Backout, tmp_path: Path, ansible: Path) -> None:
    """What `--check` can only guess at (a template over facts, a pip and an apt task) is known, done, and undone."""
    package, folder, venv = absent("hello", "figlet", "cowsay"), backout.folder, tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    (tmp_path / "bind.conf.j2").write_text(TEMPLATE)
    playbook = tmp_path / "site.yml"
    playbook.write_text(PLAYBOOK.format(folder=folder, user=USER, uid=USER_ID, package=package, venv=venv))
    before = Before(folder, venv)
    words = ("--", str(ansible / "ansible-playbook"), str(playbook))
    document, code = backout.json("rehearse", *words)
    assert code == 0, document
    assert before.changed() == []
    assert set(effects(document)) == {
        *(f"file:{folder}/{name}" for name in ("bind.conf", "motd", "cron-state")),
        *(f"file:{folder}/app.conf", f"debian-package:{package}", f"python-package:{venv}:idna"),
        *(f"user:{USER}", f"group:{USER}"),
    }
    yes = (f"file:{folder}/*", f"debian-package:{package}", "python-package:idna")
    done, code = backout.json("run", *ACCOUNTS, *expect(*yes), *words)
    assert code == 0, done
    assert done["digest"] == document["digest"]
    facts = facts_of(said(ansible / "ansible", "localhost", "-c", "local", "-m", "setup"))
    bind = dict(line.split(" = ") for line in (folder / "bind.conf").read_text().splitlines())
    assert bind["bind"] == facts["ansible_default_ipv4.address"]
    assert bind["manager"] == facts["ansible_service_mgr"]
    assert bind["interfaces"].split() == sorted(os.listdir("/sys/class/net"))
    assert (folder / "app.conf").read_text() == "workers = 8\nport = 80\n"
    assert said(venv / "bin/python", "-B", "-c", "import idna; print(idna.encode('x').decode())") == "x"
    undone, code = backout.json("back")
    assert code == 0, undone
    assert before.changed() == []


def expect(*selectors: str) -> list[str]:
    """Give the words that say what is expected."""
    return [word for selector in selectors for word in ("--expect", selector)]
