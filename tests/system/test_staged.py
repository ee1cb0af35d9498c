"""Staging and production, reached by the real ssh: what was tried on one is held against what is done on the other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.cli import Backout
from kit.sshd import World, world

WHY = "2026-11-23: staging was not the same"
GUARD = f'[[guards]]\nrule = "staged-first"\nwhy = "{WHY}"\n'
HOSTS = """
[environments.production]
hosts = [{production}]
same_as = "staging"
[[environments.production.checks]]
name = "checked"
run = "test ! -e {shop}/broken-here"
within = "1s"
[environments.staging]
hosts = [{staging}]
[[environments.staging.checks]]
name = "checked"
run = "test ! -e {shop}/broken"
within = "1s"
"""
DIFFERS = '[[environments.production.differs]]\nwhat = "file:{shop}/.env"\nwhy = "each its own database"\n'
DEPLOY = """
import base64, hashlib, pathlib
shop = pathlib.Path("{shop}")
(shop / "app.conf").write_text("workers = 4\\n")
for name in ("flask", "setuptools"):
    info = shop / f"venv/lib/python3.12/site-packages/{{name}}-3.0.dist-info"
    if not info.exists():
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {{name}}\\nVersion: 3.0\\n")
        digest = hashlib.sha256((info / "METADATA").read_bytes()).digest()
        said = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        (info / "RECORD").write_text(f"{{info.name}}/METADATA,sha256={{said}},\\n{{info.name}}/RECORD,,\\n")
"""


class Shop:
    """Hosts that have a shop each, at one path: a file system of its own, made anew for each test."""

    def __init__(self, reach: World) -> None:
        self.world = reach
        self.path = reach.folder / "shop"
        self.deploy = ("--", f"python3 -B {reach.folder}/deploy.py")
        (reach.folder / "deploy.py").write_text(DEPLOY.format(shop=self.path))
        self.configure()
        for name in reach.hosts:
            self.sh(name, f"mount -t tmpfs shop {self.path}; echo workers = 2 > {self.path}/app.conf")
            self.sh(name, f"mkdir -p {self.path}/venv/lib/python3.12/site-packages; touch {self.path}/venv/pyvenv.cfg")

    def configure(self, more: str = GUARD, staging: str = '"web2"', production: str = '"web1"') -> None:
        """Write backout.toml."""
        text = (HOSTS + more).format(shop=self.path, staging=staging, production=production)
        self.world.environments(text)

    def sh(self, host: str, script: str) -> None:
        """Do something on a host behind backout's back."""
        self.world.hosts[host].sh("sh", "-c", script)

    def clean(self) -> None:
        """Take the shops, and all records of them, away."""
        for name, host in self.world.hosts.items():
            self.sh(name, f"umount {self.path}")
            shutil.rmtree(host.state, ignore_errors=True)
        self.forget()

    def forget(self) -> None:
        """Lose the journal, as if a colleague sat here."""
        shutil.rmtree(self.world.folder / "xdg", ignore_errors=True)

    def has_packages(self, host: str) -> None:
        """Let the packages be there already: only the file is to be changed then."""
        self.sh(host, f"python3 -B {self.world.folder}/deploy.py; echo workers = 2 > {self.path}/app.conf")

    def staged(self, *words: str) -> str:
        """Deploy on staging; gives the change."""
        document, code = self.world.backout.json("run", "-e", "staging", "--yes", *words, *self.deploy)
        assert code == 0, document
        return str(document["change"])

    def rehearsed(self, verb: str = "rehearse", *words: str) -> tuple[dict[str, Any], int]:
        """Rehearse the deployment on production."""
        return self.world.backout.json(verb, "-e", "production", *words, *self.deploy)


@pytest.fixture(scope="module")
def reach() -> Iterator[World]:
    """Production's host, and two that can be staging."""
    with world() as made:
        for name in ("web1", "web2", "web3"):
            made.add(name)
        (made.folder / "shop").mkdir()
        yield made


@pytest.fixture
def shop(reach: World) -> Iterator[Shop]:
    """A shop on each host."""
    made = Shop(reach)
    yield made
    made.clean()


def names(rows: list[dict[str, Any]]) -> list[str]:
    """The differences as selectors name them, without folders."""
    return [f"{row['kind']}:{Path(row['subject']).name.rpartition(':')[2]}" for row in rows]


def test_what_staging_had_already_is_shown_and_refused(shop: Shop) -> None:
    """The story: on staging one setting changed, on production 45 packages would, and nobody noticed."""
    shop.has_packages("web2")
    change = shop.staged()
    document, code = shop.rehearsed()
    compared = document["compared"]
    assert (code, document["verdict"]["decision"]) == (3, "refuse")
    assert (compared["environment"], compared["change"], compared["reached"]) == ("staging", change, True)
    assert (compared["there"], compared["here"]) == ({"file": 1}, {"file": 1, "python-package": 2})
    assert names(compared["only_here"]) == ["python-package:flask", "python-package:setuptools"]
    assert compared["only_there"] == []
    reason = document["verdict"]["reasons"][0]
    assert reason["what"].startswith("Guard staged-first: staging lacks 2 of 3 effects")
    assert WHY in reason["what"]
    refused = shop.world.backout("run", "-e", "production", "--yes", *shop.deploy)
    assert (refused.returncode, "here: 1 file and 2 Python" in " ".join(refused.stdout.split())) == (3, True)
    assert "Only here: flask 3.0, setuptools 3.0" in refused.stdout
    assert "what is meant to differ goes under differs" in " ".join(refused.stderr.split())


def test_what_was_done_on_staging_alike_is_let_through_until_it_is_taken_back_there(shop: Shop) -> None:
    """A guard that refuses what was tried teaches people to work around it; one that forgets is none."""
    document, code = shop.rehearsed()
    assert (code, document["compared"]["change"], document["compared"]["there"]) == (3, None, {})
    assert document["verdict"]["reasons"][0]["next"] == f"backout run -e staging -- '{shop.deploy[1]}'"
    shop.staged()
    assert shop.world.backout("back", "-e", "staging").returncode == 0
    document, code = shop.rehearsed()
    assert (code, document["compared"]["state"]) == (3, "undone")
    shop.staged()
    document, code = shop.rehearsed("run", "--yes")
    assert (code, document["compared"]["only_here"], document["compared"]["only_there"]) == (0, [], [])
    back, code = shop.world.backout.json("back", "-e", "production")
    assert code == 0
    assert shop.world.backout("back", "-e", "staging").returncode == 0
    again = ("run", "-e", "production", "--yes", "--change", back["undone"][0]["change"])
    assert shop.world.backout(*again).returncode == 3
    shop.staged()
    done = shop.world.backout(*again)
    assert done.returncode == 0, done.stderr


def test_what_was_unhealthy_on_staging_is_not_let_through(shop: Shop) -> None:
    """It stands there, since its check was red before, too; that is no proof that it is well."""
    shop.sh("web2", f"touch {shop.path}/broken")
    shop.staged()
    assert shop.rehearsed()[1] == 3
    shop.sh("web2", f"rm {shop.path}/broken")
    assert shop.world.backout("back", "-e", "staging").returncode == 0
    shop.staged()
    assert shop.rehearsed()[1] == 0


def test_what_staging_did_is_known_from_the_journal_while_it_is_down(shop: Shop) -> None:
    """It must not take a staging that is up to mend production; but what nobody here knows is refused."""
    shop.staged()
    shop.world.disconnect()
    shop.world.cut("web2")
    try:
        document, code = shop.rehearsed()
        assert (code, document["compared"]["reached"], document["compared"]["only_here"]) == (0, False, [])
        assert any("as of" in limit and "staging was not reached" in limit for limit in document["limits"])
        assert "as of" in shop.world.backout("rehearse", "-e", "production", *shop.deploy).stdout
        shop.forget()
        document, code = shop.rehearsed()
        assert (code, document["compared"]["change"]) == (3, None)
        assert "nothing is known of staging" in document["verdict"]["reasons"][0]["what"]
    finally:
        shop.world.mend("web2")


def test_a_colleague_whose_journal_is_empty_is_told_by_the_host(shop: Shop) -> None:
    """The ledger is the authority; what it told is then known here, too, when the host is down."""
    change = shop.staged()
    shop.forget()
    document, code = shop.rehearsed()
    assert (code, document["compared"]["change"], document["compared"]["only_here"]) == (0, change, [])
    shop.world.disconnect()
    shop.world.cut("web2")
    try:
        document, code = shop.rehearsed()
    finally:
        shop.world.mend("web2")
    assert (code, document["compared"]["change"], document["compared"]["reached"]) == (0, change, False)


def test_every_host_of_staging_has_to_have_it(shop: Shop) -> None:
    """Two hosts that should be alike, of which one was left out, prove nothing about the other."""
    shop.staged()
    shop.configure(staging='"web2", "web3"')
    document, code = shop.rehearsed()
    assert (code, document["compared"]["only_here"]) == (3, [])
    shop.configure(staging='"web3"')
    shop.staged()
    shop.configure(staging='"web2", "web3"')
    assert shop.rehearsed()[1] == 0


def test_what_is_meant_to_differ_is_counted_and_not_asked_for(shop: Shop) -> None:
    """Each environment has its own database."""
    command = ("--", f"hostname > {shop.path}/.env")
    assert shop.world.backout("run", "-e", "staging", "--yes", *command).returncode == 0
    document, code = shop.world.backout.json("rehearse", "-e", "production", *command)
    assert (code, names(document["compared"]["only_here"])) == (3, ["file:.env"])
    shop.configure(DIFFERS + GUARD)
    document, code = shop.world.backout.json("rehearse", "-e", "production", *command)
    rule = {"what": f"file:{shop.path}/.env", "why": "each its own database", "count": 1}
    assert (code, document["compared"]["excepted"], document["compared"]["only_here"]) == (0, [rule], [])
    assert document["compared"]["only_there"] == []


def test_without_a_guard_it_is_shown_and_none_stands_in_the_way_back(shop: Shop) -> None:
    """No guard is on by default; and whoever takes back is in trouble already (design, "Checks and rescue")."""
    shop.configure(more="")
    shown = shop.world.backout("rehearse", "-e", "production", *shop.deploy)
    assert "Not run on staging. To do so: backout run -e staging --" in " ".join(shown.stdout.split())
    document, code = shop.rehearsed("run", "--yes")
    assert (code, document["compared"]["change"]) == (0, None)
    shop.configure()
    assert shop.world.backout("back", "-e", "production").returncode == 0


def test_several_hosts_are_held_against_staging_group_by_group(shop: Shop) -> None:
    """The one that lags behind the others is where it breaks."""
    shop.has_packages("web2")
    shop.has_packages("web3")
    change = shop.staged()
    shop.configure(production='"web1", "web3"')
    document, code = shop.rehearsed("rehearse", "--odd", "web1", "--odd", "web3")
    decided = {group["hosts"][0]: group["verdict"]["decision"] for group in document["groups"]}
    assert (code, decided) == (3, {"web1": "refuse", "web3": "ask"})
    compared = {group["hosts"][0]: group["compared"] for group in document["groups"]}
    assert [one["change"] for one in compared.values()] == [change, change]
    assert names(compared["web1"]["only_here"]) == ["python-package:flask", "python-package:setuptools"]
    assert compared["web3"]["only_here"] == []
    assert "On staging" in " ".join(shop.world.backout("rehearse", "-e", "production", *shop.deploy).stdout.split())


def test_two_environments_can_be_this_machine_and_each_has_its_own_record(backout: Backout) -> None:
    """What was done as production must not pass for tried first."""
    both = '[environments.staging]\nhosts = ["local"]\n[environments.production]\nhosts = ["local"]\n'
    conf, config = backout.folder / "app.conf", backout.folder / "backout.toml"
    words = ("-e", "production", "--", "echo workers = 4 > app.conf")
    config.write_text(both)
    assert backout("run", "--yes", *words).returncode == 0
    conf.write_text("workers = 2\n")
    config.write_text(both + 'same_as = "staging"\n' + GUARD)
    document, code = backout.json("rehearse", *words)
    assert (code, document["compared"]["change"]) == (3, None)
    staged, code = backout.json("run", "--yes", "-e", "staging", *words[2:])
    assert code == 0
    conf.write_text("workers = 2\n")
    document, code = backout.json("rehearse", *words)
    assert (code, document["compared"]["change"]) == (0, staged["change"])
