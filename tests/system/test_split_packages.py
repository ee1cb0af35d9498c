"""`backout split` on what apt and pip do: real packages, real databases, and the rest fit to live with."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kit.apt import Repository, apt_world, installed, native
from kit.busy import World
from kit.cli import CHECKED, Backout
from kit.picture import difference, picture

UPGRADE = "apt-get upgrade -y --with-new-pkgs"
LIBRARY = "shop-library"
HARMLESS = ("shop-fonts", "shop-manual", "shop-settings", "shop-web", "shop-worker")
GREETS = "greet() {{ echo hello; }} # {}\n"
NO_GREETING = "welcome() { echo hello; }\n"


class Debian(NamedTuple):
    """A command line in a world with packages of release 1 installed, and those of release 2 in its repository."""

    backout: Backout
    live: World
    site: Path


def release(repository: Repository, version: str, library: str) -> None:
    """Add all packages in one release: some have a conffile, a script, or need another package."""
    repository.add(LIBRARY, version, {LIBRARY: library}, architecture=native())
    for name in ("shop-fonts", "shop-manual"):
        repository.add(name, version, {f"{name}/{number}": f"{name} {version}\n" for number in range(20)})
    conffile = {"conffiles": f"{repository.site}/settings.ini\n"}
    repository.add("shop-settings", version, {"settings.ini": f"release = {version}\n"}, scripts=conffile)
    generated = f"#!/bin/sh\nset -e\necho {version} >{repository.site}/generated\n"
    repository.add("shop-worker", version, scripts={"postinst": generated})
    needs = f"Depends: {LIBRARY} (>= 1){', shop-new' if version == '2' else ''}\n"
    repository.add("shop-web", version, {"web": f". {repository.site}/{LIBRARY}; greet # {version}\n"}, fields=needs)


@pytest.fixture
def debian() -> Iterator[Debian]:
    """Give a Debian with the shop on it, before an upgrade; an application asks one package for what the next lacks."""
    root = Path(tempfile.mkdtemp(prefix="backout-test-", dir="/var/tmp"))
    root.chmod(0o755)
    repository = Repository(root)
    release(repository, "1", GREETS.format(1))
    try:
        with apt_world(root, repository) as (backout, live):
            live("apt-get", "update")
            live("apt-get", "install", "-y", LIBRARY, *HARMLESS)
            release(repository, "2", NO_GREETING)
            repository.add("shop-new")
            live("apt-get", "update")
            (backout.folder / "backout.toml").write_text(CHECKED.format(run=f"sh -e {repository.site}/web"))
            yield Debian(backout, live, repository.site)
    finally:
        shutil.rmtree(root)


def test_of_an_apt_upgrade_the_guilty_package_is_named_and_the_rest_goes_in(debian: Debian) -> None:
    """What apt cannot: all upgrades but one, in one transaction, with dpkg's record whole; and back to the byte."""
    backout, live, site = debian
    before = installed(live)
    assert before == dict.fromkeys((LIBRARY, *HARMLESS), "1")
    pictured = picture(site)
    refused, code = backout.json("run", "--yes", "--", UPGRADE)
    assert (code, refused["verdict"]["decision"]) == (3, "refuse"), refused
    document, code = backout.json("split", refused["change"])
    assert code == 0, document
    (part,) = document["parts"]
    (atom,) = part["atoms"]
    assert (atom["kind"], atom["subject"], atom["before"], atom["after"]) == ("debian-package", LIBRARY, "1", "2")
    assert "greet: not found" in part["output"]
    assert (installed(live), difference(pictured, picture(site))) == (before, {})
    done, code = backout.json("run", "--yes", "--change", document["rest"]["change"])
    assert code == 0, done
    told = {effect["subject"] for effect in done["effects"] if effect["kind"] == "debian-package"}
    assert told == {*HARMLESS, "shop-new"}
    assert installed(live) == {LIBRARY: "1", **dict.fromkeys(HARMLESS, "2"), "shop-new": "1"}
    for name in (LIBRARY, *HARMLESS, "shop-new"):
        assert live("dpkg", "--verify", name).stdout == ""
    assert (site / "settings.ini").read_text() == "release = 2\n"
    assert (site / "generated").read_text() == "2\n"
    assert f"Inst {LIBRARY} [1] (2" in live("apt-get", "upgrade", "--simulate").stdout
    undone, code = backout.json("back")
    assert code == 0, undone
    assert (installed(live), difference(pictured, picture(site))) == (before, {})
