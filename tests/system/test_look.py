"""`backout look` at real hosts: three at once, each an sshd; and at this machine, as root and as an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kit.cli import Backout
from kit.sshd import USER, World, world
from kit.user import UserBackout, user_backout

CONFIG = """
[environments.shop]
hosts = ["web1", "web2", "web3"]
watch = ["{app}"]
services = ["shop"]
[environments.one]
hosts = ["web1"]
watch = ["{app}"]
[environments.user]
hosts = ["web2"]
watch = ["{app}"]
become = "sudo"
[environments.stranger]
hosts = ["web3"]
watch = ["{app}"]
[environments.here]
hosts = ["local"]
watch = ["{app}"]
"""
OF_A_SYSTEM = {"bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "run", "sbin", "srv", "sys", "usr", "var"}
"""What a host has of the machine that the tests run on; all else is hidden there, since a look searches all disks."""


@pytest.fixture(scope="module")
def shop() -> Iterator[World]:
    """Three hosts with an application in a folder; what else this machine has on its disks, they have not."""
    with world() as made:
        app = made.folder / "app"
        app.mkdir()
        (app / "shop.ini").write_text("[db]\nhost = db1\npassword = hunter2\n")
        for name in ("web1", "web2", "web3"):
            host = made.add(name)
            for folder in set(os.listdir("/")) - OF_A_SYSTEM:
                if os.path.isdir(f"/{folder}") and not os.path.islink(f"/{folder}"):
                    host.sh("mount", "-t", "tmpfs", "none", f"/{folder}")
        made.environments(CONFIG.format(app=app))
        yield made


@pytest.fixture
def app(shop: World) -> Path:
    """The folder under watch."""
    return shop.folder / "app"


def facts(document: dict[str, Any], *kinds: str) -> dict[str, Any]:
    """A document's facts of some kinds by subject."""
    return {subject: value for kind, subject, value in document["facts"] if kind in kinds}


def watched(world: World, *words: str) -> dict[str, Any]:
    """What a look at web1 says of the files under watch; and it ends well."""
    document, code = world.backout.json("look", "one", *words)
    assert code == 0
    return document


def test_three_hosts_are_looked_at_at_once_and_one_that_is_away_does_not_hold_up_the_rest(shop: World) -> None:
    """One document for all; the host that failed is in it with its reason, and the exit code tells."""
    document, code = shop.backout.json("look", "shop", "--kind", "os", "--kind", "port")
    assert (code, [look["host"] for look in document["looks"]], document["failed"]) == (0, ["web1", "web2", "web3"], [])
    for look in document["looks"]:
        assert {kind for kind, _, _ in look["facts"]} == {"os", "port"} == set(look["counts"])
        assert facts(look, "port")["tcp/0.0.0.0:22"] == "sshd"
    assert "not kept: only some kinds" in shop.backout("look", "one", "--kind", "os").stdout
    shop.cut("web2")
    shop.disconnect()
    document, code = shop.backout.json("look", "shop", "--kind", "os")
    shop.mend("web2")
    assert (code, document["exit_code"], [look["host"] for look in document["looks"]]) == (1, 1, ["web1", "web3"])
    assert [(error["host"], error["schema"]) for error in document["failed"]] == [("web2", "backout.error/1")]


def test_a_look_at_some_kinds_leaves_nothing_in_the_journal(shop: World) -> None:
    """Nothing ever names what it told: the journal of who looks every minute would grow for ever."""
    assert shop.backout("look", "one", "--kind", "os").returncode == 0
    journal = shop.folder / "xdg/backout/journal.db"
    with closing(sqlite3.connect(journal)) as database:
        ((before,),) = database.execute("SELECT count(*) FROM content")
        told = shop.backout("look", "one", "--kind", "sysctl", "--kind", "user").stdout
        assert "user  root  " in told
        assert database.execute("SELECT count(*) FROM content").fetchall() == [(before,)]


def test_the_second_look_reads_only_what_changed(shop: World, app: Path) -> None:
    """And says how it knows; a file that was replaced by one of the same size and time is noticed by its ctime."""
    for number in range(20):
        (app / f"data{number:02}").write_text(str(number))
    os.utime(app / "data07", (1, 1))
    until_old(app)
    watched(shop)
    document = watched(shop)
    assert document["files"]["hashed"] == 0, document["limits"]
    assert document["files"]["known"] == document["files"]["seen"] >= 20
    assert "ctime" in document["files"]["how"]
    (app / "other").write_text("8")
    os.utime(app / "other", (1, 1))
    (app / "other").rename(app / "data07")
    after = watched(shop)
    assert after["files"]["hashed"] == 1
    before, now = (facts(look, "file")[str(app / "data07")] for look in (document, after))
    assert (before["size"], before["sha256"] == now["sha256"]) == (now["size"], False)


def until_old(folder: Path) -> None:
    """Wait until what was written is old enough to be believed: two seconds by the file system's clock."""
    newest = max(path.lstat().st_ctime for path in [folder, *folder.rglob("*")])
    probe = folder.parent / "probe"
    while True:
        probe.touch()
        if probe.stat().st_ctime > newest + 2.1:
            probe.unlink()
            return


def test_pipes_sockets_strange_names_and_secrets_in_watch(shop: World, app: Path) -> None:
    """Nothing is opened that could hang; every name is told; no secret travels."""
    odd = app / "odd"
    odd.mkdir()
    os.mkfifo(odd / "pipe")
    long = odd / ("n" * 255)
    long.write_text("x")
    (odd / "a\nb\udcff").write_text("x")
    deep = odd
    for _ in range(12):
        deep = deep / ("d" * 30)
        deep.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(odd)
        listener.bind("socket")
        document = watched(shop)
    os.chdir("/")
    told = facts(document, "file")
    assert [told[str(odd / name)]["type"] for name in ("pipe", "socket", "a\nb\udcff", long.name)] == [
        "fifo", "socket", "file", "file"
    ]  # fmt: skip
    assert str(deep) in told
    assert facts(document, "config") == {f"{app}/shop.ini#db.host": "db1", f"{app}/shop.ini#db.password": "••••"}
    assert "hunter2" not in json.dumps(document)
    shutil.rmtree(odd)


def test_an_environment_of_python_is_found_and_what_is_not_as_recorded_is_told(shop: World, app: Path) -> None:
    """Wherever it lies: a file that was patched by hand, one that is missing, and nothing of those that are right."""
    env = app.parent / "srv" / "env"
    subprocess.run(["python3", "-m", "venv", "--without-pip", str(env)], check=True)
    (site,) = env.glob("lib/python*/site-packages")
    info = site / "shop-1.2.dist-info"
    (site / "shop").mkdir()
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Shop\nVersion: 1.2\n")
    empty = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0"
    names = ("right.py", "patched.py", "missing.py")
    rows = [f"shop/{name},{empty}" for name in names]
    (info / "RECORD").write_text(
        "\n".join([*rows, "shop/__pycache__/right.cpython-311.pyc,,", f"{info.name}/RECORD,,"])
    )
    (site / "shop" / "right.py").write_text("")
    (site / "shop" / "patched.py").write_text("print()\n")
    document = watched(shop)
    assert facts(document, "python")[str(env)].startswith("3.")
    assert facts(document, "python-package")[f"{env}:shop"] == "1.2"
    told = {subject: value for subject, value in facts(document, "file").items() if subject.startswith(str(env))}
    assert {subject.rpartition("/")[2]: value["type"] for subject, value in told.items()} == {
        "missing.py": "missing", "patched.py": "file"
    }  # fmt: skip
    shutil.rmtree(env)


def test_sudo_makes_root_and_says_no_more_than_an_ordinary_user_who_says_what_is_missing(shop: World) -> None:
    """What a user may not read is in the limits, never silently missing."""
    web2 = shop.hosts["web2"]
    shop.disconnect()
    shop.configure("Host web2\n  User deploy\n")
    web2.sudoers.write_text('deploy ALL=(root) NOPASSWD: ALL\nDefaults env_keep += "BACKOUT_STATE XDG_CACHE_HOME"\n')
    done = shop.backout("look", "user", "--kind", "port")
    assert (done.returncode, "tcp/0.0.0.0:22  sshd" in done.stdout) == (0, True), done.stderr
    shop.disconnect()
    shop.configure("")
    web2.sudoers.write_text("")


def test_a_host_that_can_keep_nothing_is_looked_at_all_the_same(shop: World) -> None:
    """A login without rights, whose state folder is somebody else's: what that costs is said."""
    web3 = shop.hosts["web3"]
    web3.state.mkdir(exist_ok=True)
    shutil.rmtree(web3.cache, ignore_errors=True)
    web3.cache.mkdir()
    os.chown(web3.cache, USER, USER)
    shop.disconnect()
    shop.configure("Host web3\n  User deploy\n")
    document, code = shop.backout.json("look", "stranger")
    shop.disconnect()
    shop.configure("")
    shutil.rmtree(web3.cache)
    assert (code, facts(document, "user")["deploy"]["uid"]) == (0, USER)
    limits = " ".join(document["limits"])
    assert "not kept for the next look" in limits
    assert "without root" in limits
    assert "a password is set" in limits


def test_a_look_is_told_in_a_few_lines(shop: World) -> None:
    """Under stress: what it is, what is new, what could not be read; 80 columns, no more than a screen."""
    first = shop.backout("look", "one")
    (shop.folder / "app" / "new").write_text("new")
    second = shop.backout("look", "one")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    lines = second.stdout.splitlines()
    assert lines[0].startswith("web1  ")
    assert any(line.startswith("New") and "1 file added" in line for line in lines), second.stdout
    assert len(lines) < 24
    assert "ssh" not in first.stderr


@pytest.fixture
def user() -> Iterator[UserBackout]:
    """An ordinary user of this machine."""
    with user_backout() as made:
        yield made


def test_an_ordinary_user_looks_at_this_machine_and_is_told_what_could_not_be_read(user: UserBackout) -> None:
    """Without ssh, with a state of their own."""
    secret = user.home / "app" / "secret"
    secret.parent.mkdir()
    secret.write_text("x")
    secret.chmod(0)
    (user.folder / "backout.toml").write_text(CONFIG.format(app=secret.parent))
    document, code = user.json("look", "here")
    assert code == 0
    assert facts(document, "file")[str(secret)]["sha256"] is None
    limits = " ".join(document["limits"])
    assert "Permission denied" in limits
    assert (user.state / "known" / "watch").stat().st_mode & 0o777 == 0o600
    assert facts(document, "user")["root"]["uid"] == 0


def test_an_environment_must_be_named_and_known(backout: Backout) -> None:
    """Usage is usage, and its error is a document, too."""
    assert backout.json("look")[1] == 2
    error, code = backout.json("look", "nowhere")
    assert (code, "nowhere" in error["what"]) == (2, True)
    assert backout.json("look", "x", "--kind", "nonsense")[1] == 2
