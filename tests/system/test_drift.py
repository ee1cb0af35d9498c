"""Parity and drift on real hosts: what differs since when, who did it, and what is taken into the record."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.sshd import Host, World, sh, world

CONFIG = """
[environments.staging]
hosts = ["stage1"]
watch = ["{app}"]
[environments.production]
hosts = ["web1", "web2"]
watch = ["{app}"]
[[environments.production.differs]]
what = "user:*"
why = "users have their homes in the test's folders"
"""
PAIR = ("staging", "production")
_ELSEWHERE = sorted(
    {top for top in ("/root", "/home", "/srv", "/tmp", "/opt", f"/{Path(__file__).parts[1]}") if os.path.isdir(top)}
)
"""What is beside the system on this machine: the checkout, for one. A host has none of it."""


class Shop:
    """Three hosts, each with an application of its own at the same place."""

    def __init__(self, made: World) -> None:
        self.world, self.app = made, Path("/srv/shop")
        for name in ("stage1", "web1", "web2"):
            host = made.add(name)
            logs = host.folder / "logs"
            logs.mkdir()
            host.sh("mount", "--bind", str(logs), "/var/log")
            for top in _ELSEWHERE:
                host.sh("mount", "-t", "tmpfs", "none", top)
            own = self.of(name)
            own.mkdir()
            (own / "app.ini").write_text("[server]\nworkers = 2\n")
            (own / "notes").write_text("as installed\n")
        made.environments(CONFIG.format(app=self.app))

    def of(self, name: str) -> Path:
        """Give a host's own application, as it is outside."""
        return Path(f"/proc/{self.world.hosts[name].process.pid}/root{self.app}")

    def differing(self, document: dict[str, Any]) -> list[dict[str, Any]]:
        """Give the differences in the application: all else is this machine's, where other things go on."""
        return [row for row in document["differences"] if row["subject"].startswith(f"{self.app}/")]

    def only(self, document: dict[str, Any]) -> dict[str, Any]:
        """Give the one difference in the application."""
        (row,) = self.differing(document)
        return row

    def drift(self, *words: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Look for drift; gives what of it is in the application, and the last host's row."""
        document, code = self.world.backout.json("drift", *words)
        found = [row for row in document["hosts"] if row["differences"] and row["adopted"] is None]
        assert code == (3 if found else 0)
        assert [row["error"] for row in document["hosts"]] == [None] * len(document["hosts"])
        return [row for host in document["hosts"] for row in self.differing(host)], document["hosts"][-1]

    def host(self, name: str) -> Host:
        """Give a host."""
        return self.world.hosts[name]


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """Staging, and two hosts of production."""
    with world() as made:
        yield Shop(made)


def test_environments_that_are_alike_are_the_same_and_a_hand_edit_on_one_host_is_found_and_dated(shop: Shop) -> None:
    """The story: nobody did anything, and yet one of two hosts is not as it was."""
    same, code = shop.world.backout.json("compare", *PAIR)
    assert (shop.differing(same), code) == ([], 3 if same["differences"] else 0)
    assert all(look["stored"] is None for look in same["looks"])
    ini = shop.of("web2") / "app.ini"
    ini.write_text("[server]\nworkers = 9\n")
    document, code = shop.world.backout.json("compare", *PAIR, "--since")
    row = shop.only(document)
    assert code == 3
    assert (row["kind"], row["subject"]) == ("config", f"{shop.app}/app.ini#server.workers")
    assert (row["within"], row["hosts"], row["before"], row["after"]) == ("production", ["web2"], "2", "9")
    assert (row["since"]["host"], row["since"]["change"], row["since"]["sure"]) == ("web2", None, True)
    ini.write_text("[server]\nworkers = 2\n")


def test_a_difference_that_a_change_of_backouts_made_names_the_change(shop: Shop) -> None:
    """`--since` answers which change did it, by what that change's effects were."""
    assert shop.differing(shop.world.backout.json("compare", *PAIR)[0]) == []
    ran, _ = shop.world.backout.json("run", "-e", "staging", "--yes", "--", f"sed -i s/2/4/ {shop.app}/app.ini")
    document, code = shop.world.backout.json("compare", *PAIR, "--since")
    row = shop.only(document)
    assert (code, row["within"], row["hosts"], row["before"]) == (3, None, ["web1", "web2"], "4")
    assert row["since"] == {**row["since"], "host": "stage1", "change": ran["change"], "sure": True}
    assert shop.world.backout("back", "-e", "staging").returncode == 0


def test_a_host_that_is_not_reached_falls_back_to_the_look_that_is_stored(shop: Shop) -> None:
    """Half an answer now is worth more than none, as long as it says so."""
    shop.world.cut("web2")
    shop.world.disconnect()
    try:
        document, code = shop.world.backout.json("compare", *PAIR)
    finally:
        shop.world.mend("web2")
    assert code in (0, 3)
    stored = {look["host"]: look["stored"] for look in document["looks"]}
    assert stored["stage1"] is stored["web1"] is None
    assert stored["web2"]


def test_drift_is_told_from_the_first_look_on_and_what_backout_did_is_none(shop: Shop) -> None:
    """Its own changes, and their back-outs, are known by what they left."""
    more = '[environments.one]\nhosts = ["stage1"]\nwatch = ["/etc/apt"]\n'
    shop.world.environments(CONFIG.format(app=shop.app) + more)
    assert shop.drift("one")[1]["ground"] is None
    assert "From now on drift can be told" not in shop.world.backout("drift", "one").stdout
    assert shop.drift("staging")[0] == []
    change = f"sed -i s/2/4/ {shop.app}/app.ini; echo more >> {shop.app}/notes"
    ran, _ = shop.world.backout.json("run", "-e", "staging", "--yes", "--", change)
    found, host = shop.drift("staging")
    assert (found, host["changes"][-1], host["explained"]) == ([], ran["change"], 2)
    assert shop.world.backout("back", "-e", "staging").returncode == 0
    assert shop.drift("staging")[0] == []


def test_a_hand_edit_after_a_change_of_the_same_file_is_drift(shop: Shop) -> None:
    """That backout touched a file once does not make everything in it backout's."""
    assert shop.drift("staging")[0] == []
    change = f"sed -i s/2/4/ {shop.app}/app.ini"
    assert shop.world.backout("run", "-e", "staging", "--yes", "--", change).returncode == 0
    (shop.of("stage1") / "app.ini").write_text("[server]\nworkers = 5\n")
    (row,), _ = shop.drift("staging")
    assert (row["subject"], row["after"]) == (f"{shop.app}/app.ini#server.workers", "5")
    assert row["by"] == {"what": "unknown", "evidence": None}
    (shop.of("stage1") / "app.ini").write_text("[server]\nworkers = 4\n# by hand\n")
    (row,), _ = shop.drift("staging")
    assert (row["kind"], row["subject"]) == ("file", f"{shop.app}/app.ini")
    (shop.of("stage1") / "app.ini").write_text("[server]\nworkers = 4\n")
    assert shop.drift("staging")[0] == []
    assert shop.world.backout("back", "-e", "staging").returncode == 0


def test_drift_is_attributed_to_who_was_at_work(shop: Shop) -> None:
    """A sudo entry near the time of the edit, as sudo wrote it; the password on its command line is not quoted."""
    assert shop.drift("production")[0] == []
    (shop.of("web1") / "notes").write_text("tuned\n")
    now = subprocess.run(["date", "+%Y-%m-%dT%H:%M:%S%:z"], capture_output=True, text=True, check=True).stdout.strip()
    command = f"/usr/bin/tee --password=hunter2 {shop.app}/notes"
    line = f"{now} web1 sudo:      ada : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND={command}"
    (shop.host("web1").folder / "logs" / "auth.log").write_text(f"{line}\n")
    (row,), _ = shop.drift("production")
    assert (row["kind"], row["subject"], row["hosts"]) == ("file", f"{shop.app}/notes", ["web1"])
    assert row["by"]["what"] == "sudo by ada"
    assert "COMMAND=/usr/bin/tee" in row["by"]["evidence"]
    assert "hunter2" not in row["by"]["evidence"]
    assert "by sudo by ada" in " ".join(shop.world.backout("drift", "production").stdout.split())


def test_a_package_that_was_installed_by_hand_is_drift_with_the_line_of_dpkgs_own_log(shop: Shop) -> None:
    """A real dpkg installs a real package, with a database of the host's own."""
    host, folder = shop.host("web2"), shop.host("web2").folder
    control = folder / "deb" / "DEBIAN"
    control.mkdir(parents=True)
    lines = ("Package: backout-drifted", "Version: 1.0", "Architecture: all", "Maintainer: A <a@b.c>", "Description: x")
    (control / "control").write_text("\n".join([*lines, ""]))
    sh("dpkg-deb", "--build", str(folder / "deb"), str(folder / "drifted.deb"))
    shutil.copytree("/var/lib/dpkg", folder / "dpkg", symlinks=True)
    host.sh("mount", "--bind", str(folder / "dpkg"), "/var/lib/dpkg")
    assert [row for row in shop.drift("production")[0] if row["kind"] == "debian-package"] == []
    host.sh("dpkg", "--install", str(folder / "drifted.deb"))
    document, code = shop.world.backout.json("drift", "production")
    found = [row for row in document["hosts"][1]["differences"] if row["subject"] == "backout-drifted"]
    assert code == 3
    assert [(row["before"], row["after"], row["by"]["what"]) for row in found] == [(None, "1.0", "dpkg")]
    assert "backout-drifted:all" in found[0]["by"]["evidence"]


def test_drift_that_is_adopted_is_on_record_is_the_new_ground_and_cannot_be_taken_back(shop: Shop) -> None:
    """So that the record is whole: `log` and `show` tell it, and `back` goes past it."""
    more = f'[environments.web1]\nhosts = ["web1"]\nwatch = ["{shop.app}"]\n'
    shop.world.environments(CONFIG.format(app=shop.app) + more)
    backout, here = shop.world.backout, ("-e", "web1")
    notes = shop.of("web1") / "notes"
    assert shop.drift("web1")[0] == []
    assert backout("run", *here, "--yes", "--", f"echo ours > {shop.app}/ours").returncode == 0
    notes.write_text("tuned again\n")
    assert backout("drift", "web1", "--adopt").returncode == 2
    _, host = shop.drift("web1", "--adopt", "--why", "ada tuned it")
    change = host["adopted"]
    found, host = shop.drift("web1")
    assert (found, host["changes"]) == ([], [])
    row = backout.json("log", *here)[0]["changes"][0]
    assert (row["id"], row["why"], row["state"]) == (change, "ada tuned it", "kept")
    assert row["command"] == ["backout", "drift", "--adopt"]
    effects, code = backout.json("show", *here, change)
    assert code == 0
    assert f"{shop.app}/notes" in [effect["subject"] for effect in effects["effects"] if not effect["reversible"]]
    assert "ada tuned it" in backout("show", *here, change).stdout
    refused, code = backout.json("back", *here, change)
    assert (code, "drift that was adopted" in refused["what"]) == (2, True)
    again, code = backout.json("run", *here, "--yes", "--change", change)
    assert (code, "drift that was adopted" in again["what"]) == (2, True)
    back, code = backout.json("back", *here)
    assert (code, len(back["undone"]), (shop.of("web1") / "ours").exists()) == (0, 1, False)
    assert notes.read_text() == "tuned again\n"
    assert backout("recover", *here).returncode == 0
    assert backout("gc", *here, "--older-than", "0", "--standing").returncode == 0
    assert backout("show", *here, change).returncode == 0
