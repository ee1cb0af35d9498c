"""What works on a host by itself: apt's daily timer and a Puppet agent, beside a change of the same kind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kit.apt import Repository, apt_world, installed
from kit.busy import World, world
from kit.cli import Backout

INSTALL = "apt-get install -y tiny-ours"
AFTER_ALL = ("run", "--yes", "--change")


@pytest.fixture
def root() -> Iterator[Path]:
    """Give a folder that is seen inside a world, too."""
    root = Path(tempfile.mkdtemp(prefix="backout-test-", dir="/var/tmp"))
    root.chmod(0o755)
    yield root
    shutil.rmtree(root)


class Busy(NamedTuple):
    """A command line in a world of its own, and the world itself."""

    backout: Backout
    live: World
    root: Path


@pytest.fixture
def apt(root: Path) -> Iterator[tuple[Busy, Repository]]:
    """Give a world where nothing is installed, whose apt and dpkg know one repository of tiny packages."""
    repository = Repository(root)
    for name in ("tiny-ours", "tiny-theirs"):
        repository.add(name)
    with apt_world(root, repository) as (backout, live):
        daily(live)
        yield Busy(backout, live, root), repository


def daily(live: World) -> None:
    """Do what apt's timers do: fetch the lists, and the packages that could be upgraded."""
    for what in ("update", "install"):
        live("/usr/lib/apt/apt.systemd.daily", what)


def during(busy: Busy, command: str, act: Callable[[], object]) -> Any:
    """Have something happen on the host while a command is rehearsed; gives the exit code, and what was said."""
    done = busy.backout.meanwhile(act, command, "run", "--yes", "--ok-exit", "0,2")
    return done.returncode, done.stdout


def between(busy: Busy, command: str, act: Callable[[], object]) -> Any:
    """The same, between the rehearsal and the apply."""
    refused, code = busy.backout.json("run", "--ok-exit", "0,2", "--", command)
    assert code == 3, refused
    act()
    done = busy.backout(*AFTER_ALL, refused["change"])
    return done.returncode, done.stdout + done.stderr


WHEN = pytest.mark.parametrize("when", [during, between])


@WHEN
def test_apts_daily_timer_and_an_installation_do_not_meet(apt: tuple[Busy, Repository], when: Any) -> None:
    """Lists and caches are renewed by either and made again at will: the host's own, newer ones stay."""
    busy, repository = apt

    def renew() -> None:
        repository.add("tiny-late")
        daily(busy.live)

    code, said = when(busy, INSTALL, renew)
    assert code == 0, said
    assert "keeps its live version" in " ".join(said.split())
    assert installed(busy.live) == {"tiny-ours": "1"}
    assert (busy.root / "site/tiny-ours").read_text() == "tiny-ours\n"
    assert "tiny-late" in busy.live("apt-get", "install", "--simulate", "tiny-late").stdout
    assert busy.backout("back").returncode == 0
    assert installed(busy.live) == {}
    assert "tiny-late" in busy.live("apt-get", "install", "--simulate", "tiny-late").stdout


@WHEN
def test_two_installations_are_a_conflict_and_no_package_is_lost(apt: tuple[Busy, Repository], when: Any) -> None:
    """As when unattended-upgrades comes in between: dpkg's status has moved on, and ours would forget its package."""
    busy, _ = apt
    code, said = when(busy, INSTALL, lambda: busy.live("apt-get", "install", "-y", "tiny-theirs"))
    assert code == 6, said
    assert "/var/lib/dpkg/status" in said
    assert "rehearse again" in " ".join(said.split())
    assert installed(busy.live) == {"tiny-theirs": "1"}
    done = busy.backout("run", "--yes", "--", INSTALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert installed(busy.live) == {"tiny-ours": "1", "tiny-theirs": "1"}


APPLY = "puppet apply --detailed-exitcodes {}"
FILE = "file {{ '{}': ensure => file, content => \"{}\\n\" }}\n"


class Manifests:
    """Manifests of one file each."""

    def __init__(self, busy: Busy) -> None:
        self._busy = busy

    def command(self, name: str, content: str) -> str:
        """Give the command that applies one: it makes a file in the working folder have a content."""
        manifest = self._busy.root / f"{name}-{content.rsplit(maxsplit=1)[-1]}.pp"
        manifest.write_text(FILE.format(self._busy.backout.folder / name, content))
        return APPLY.format(manifest)

    def apply(self, name: str, content: str) -> None:
        """Apply it on the host, as an agent does; it must have had something to do."""
        self._busy.live("sh", "-c", f"{self.command(name, content)}; [ $? = 2 ]")


@pytest.fixture
def puppet(root: Path) -> Iterator[tuple[Busy, Manifests]]:
    """Give a world in which Puppet has run once; what it notes about its runs lies in the world."""
    places = [(root / "world" / str(number), at) for number, at in enumerate(("/var/cache/puppet", "/var/lib/puppet"))]
    for source, _ in places:
        source.mkdir(parents=True)
    backout = Backout(root)
    (backout.folder / "app.conf").write_text("workers = 2\n")
    with world(backout.folder, places) as live:
        live.holds(backout)
        busy = Busy(backout, live, root)
        Manifests(busy).apply("first", "first")
        yield busy, Manifests(busy)


SUMMARY = "/var/cache/puppet/public/last_run_summary.yaml"


@WHEN
def test_an_agents_run_beside_a_puppet_change_keeps_its_reports(puppet: tuple[Busy, Manifests], when: Any) -> None:
    """What an agent notes about its last run is overwritten by every run: the newer stays, and no file is lost."""
    busy, manifests = puppet
    notes: list[str] = []

    def agent() -> None:
        manifests.apply("theirs", "theirs")
        notes.append(busy.live("cat", SUMMARY).stdout)

    code, said = when(busy, manifests.command("app.conf", "workers = 4"), agent)
    assert code == 0, said
    assert "keeps its live version" in " ".join(said.split())
    assert busy.live("cat", SUMMARY).stdout == notes[0]
    assert (busy.backout.folder / "app.conf").read_text() == "workers = 4\n"
    assert (busy.backout.folder / "theirs").read_text() == "theirs\n"
    assert busy.backout("back").returncode == 0
    assert (busy.backout.folder / "app.conf").read_text() == "workers = 2\n"
    assert busy.live("cat", SUMMARY).stdout == notes[0]


@WHEN
def test_a_file_that_an_agent_managed_meanwhile_is_a_conflict(puppet: tuple[Busy, Manifests], when: Any) -> None:
    """Law 4: the agent's write stays, and ours is not applied over it."""
    busy, manifests = puppet
    ours = manifests.command("app.conf", "workers = 4")
    code, said = when(busy, ours, lambda: manifests.apply("app.conf", "workers = 8"))
    assert code == 6, said
    assert f"{busy.backout.folder}/app.conf" in said.replace("\n", "")
    assert (busy.backout.folder / "app.conf").read_text() == "workers = 8\n"
