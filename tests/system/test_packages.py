"""Real package managers through the command line: apt-get on this machine, pip in a virtual environment."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from kit.cli import CHECKED, Backout
from kit.machine import absent, differing, installed, listing
from kit.picture import difference, picture

INSTALL = ("apt-get", "install", "-y", "--no-install-recommends")
PINNED = ("setuptools==65.5.0", "flask==2.2.5", "werkzeug==2.2.3")
INDEX_ALONE = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
"""The public index, whatever the machine is configured for, and nothing kept of it between runs."""
_PIP_SETTINGS = ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX")


@pytest.fixture
def backout(tmp_path: Path) -> Backout:
    """Give the command line in a fresh folder, with pip led to the public index alone."""
    backout = Backout(tmp_path)
    kept = {name: value for name, value in backout.environ.items() if name not in _PIP_SETTINGS}
    backout.environ = {**kept, **INDEX_ALONE, "DEBIAN_FRONTEND": "noninteractive"}
    return backout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment as the story has it: the versions of last year, pinned."""
    folder = tmp_path_factory.mktemp("shop") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin" / "pip", "install", "-q", *PINNED], check=True, capture_output=True)
    return folder


def told(document: dict[str, Any]) -> dict[str, set[str]]:
    """Give the subjects of the effects, by kind."""
    kinds: dict[str, set[str]] = {}
    for effect in document["effects"]:
        kinds.setdefault(effect["kind"], set()).add(effect["subject"])
    return kinds


def versions(document: dict[str, Any], prefix: Path) -> dict[str, tuple[Any, Any]]:
    """Give the versions before and after of the Python packages below a prefix."""
    start = f"{prefix}:"
    return {
        effect["subject"].removeprefix(start): (effect["before"], effect["after"])
        for effect in document["effects"]
        if effect["kind"] == "python-package" and effect["subject"].startswith(start)
    }


def test_a_server_and_a_program_are_installed_in_rehearsal_alone(backout: Backout) -> None:
    """Law 1 with the largest command there is: hundreds of paths, a user, a service, and nothing of it on the host."""
    server = absent("redis-server", "memcached", "beanstalkd")
    program = absent("hello", "figlet", "cowsay")
    roots = ("/etc", "/usr", "/var/lib/dpkg", "/var/lib/apt", "/var/cache/apt")
    before = listing(*roots)
    document, code = backout.json("rehearse", "--", *INSTALL, server, program)
    assert code == 0, document
    assert differing(before, listing(*roots)) == []
    kinds = told(document)
    assert {server, program} <= kinds["debian-package"]
    assert any(subject.startswith(server.split("-")[0]) for subject in kinds["service"])
    assert len(kinds["user"]) == len(kinds["group"]) == 1
    # What the maintainer scripts make and dpkg therefore knows nothing of: an owner to keep, the data's folder.
    for path in kinds.pop("file", set()):
        assert path == "/var/lib/dpkg/statoverride" or path.startswith("/var/lib/" + server.split("-")[0])
    assert set(kinds) == {"debian-package", "service", "user", "group"}


def test_an_installed_program_works_and_goes_without_a_trace(backout: Backout) -> None:
    """Laws 3 and 5 with dpkg's own judgement: the package is whole while it stands, and never was there afterwards."""
    program = absent("hello", "figlet", "cowsay")
    roots = ("/etc", "/usr", "/var/lib/dpkg")
    before = listing(*roots)
    document, code = backout.json("run", "--expect", f"debian-package:{program}", "--", *INSTALL, program)
    try:
        assert code == 0, document
        assert told(document) == {"debian-package": {program}}
        files = subprocess.run(["dpkg", "-L", program], capture_output=True, text=True, check=True).stdout.split()
        binary = next(path for path in files if path.startswith(("/usr/bin/", "/usr/games/")))
        assert subprocess.run([binary, "--version"], capture_output=True, check=False).returncode in (0, 1)
        for judge in (["--verify", program], ["--audit"]):
            assert subprocess.run(["dpkg", *judge], capture_output=True, text=True, check=True).stdout == ""
    finally:
        undone, code = backout.json("back")
    assert code == 0, undone
    assert not installed(program)
    assert differing(before, listing(*roots)) == []
    assert subprocess.run(["dpkg", "--audit"], capture_output=True, text=True, check=True).stdout == ""


def test_an_upgrade_is_told_as_packages_applied_as_rehearsed_and_taken_back(
    backout: Backout, environment: Path
) -> None:
    """The story: what `pip install -U` did to the shop, seen beforehand, and undone to the byte."""
    before = picture(environment)
    pip = str(environment / "bin" / "pip")
    words = ("--", pip, "install", "-U", "setuptools", "flask")
    document, code = backout.json("rehearse", *words)
    assert code == 0, document
    assert difference(before, picture(environment)) == {}
    assert set(told(document)) == {"python-package"}
    moved = versions(document, environment)
    assert moved["setuptools"][0] == "65.5.0"
    assert moved["flask"][0] == "2.2.5"
    assert {"setuptools", "flask", "werkzeug"} <= set(moved)
    done, code = backout.json("run", "--expect", f"python-package:{environment}:*", *words)
    assert code == 0, done
    assert done["digest"] == document["digest"]
    ask = "import importlib.metadata as m, flask, setuptools; print(m.version('flask'), m.version('setuptools'))"
    said = subprocess.run([environment / "bin" / "python", "-B", "-c", ask], capture_output=True, text=True, check=True)
    assert said.stdout.split() == [moved["flask"][1], moved["setuptools"][1]]
    assert subprocess.run([pip, "check"], capture_output=True, check=False).returncode == 0
    undone, code = backout.json("back")
    assert code == 0, undone
    assert difference(before, picture(environment)) == {}


def test_what_breaks_an_upgrade_is_named_and_the_rest_of_it_goes_in(backout: Backout, environment: Path) -> None:
    """The story's way out: flask is wanted, setuptools is what broke it, and pip agrees with what is there then."""
    before = picture(environment)
    python, pip = (str(environment / "bin" / name) for name in ("python", "pip"))
    check = CHECKED.format(run=f"{python} -B -c 'import flask, pkg_resources'")
    (backout.folder / "backout.toml").write_text(check.replace("1s", "5s"))
    refused, code = backout.json("run", "--yes", "--", pip, "install", "-U", "setuptools", "flask")
    assert (code, refused["verdict"]["decision"]) == (3, "refuse"), refused
    document, code = backout.json("split", refused["change"])
    assert code == 0, document
    (part,) = document["parts"]
    assert [atom["subject"] for atom in part["atoms"]] == [f"{environment}:setuptools"]
    assert "No module named 'pkg_resources'" in part["output"]
    assert difference(before, picture(environment)) == {}
    done, code = backout.json("run", "--yes", "--change", document["rest"]["change"])
    assert code == 0, done
    moved = versions(done, environment)
    assert moved == {name: row for name, row in versions(refused, environment).items() if name != "setuptools"}
    said = subprocess.run([pip, "list", "--format=freeze"], capture_output=True, text=True, check=True).stdout.split()
    assert {"setuptools==65.5.0", f"flask=={moved['flask'][1]}"} <= {line.lower() for line in said}
    assert subprocess.run([pip, "check"], capture_output=True, check=False).returncode == 0
    undone, code = backout.json("back")
    assert code == 0, undone
    assert difference(before, picture(environment)) == {}


def test_the_index_is_reached_and_said_so(backout: Backout, environment: Path) -> None:
    """`--network packages`: what was possibly changed elsewhere is listed (law 1)."""
    pip = str(environment / "bin" / "pip")
    document, code = backout.json("rehearse", "--network", "packages", "--", pip, "install", "idna")
    assert code == 0, document
    assert set(versions(document, environment)) == {"idna"}
    assert "pypi.org:443" in limits(document)
    assert "files.pythonhosted.org:443" in limits(document)


def test_without_a_network_a_fetch_fails_and_nothing_is_let_through(backout: Backout, environment: Path) -> None:
    """`--network none`: the command fails as on a machine that is offline, and that is no change to apply."""
    pip = str(environment / "bin" / "pip")
    document, code = backout.json("rehearse", "--network", "none", "--", pip, "install", "--retries", "0", "idna")
    assert code in (1, 3), document
    assert document["exit_code"] != 0
    assert document["verdict"]["decision"] == "refuse"
    assert document["effects"] == []
    assert "had no network" in limits(document)


class Visits(BaseHTTPRequestHandler):
    """Notes who came."""

    seen: list[str] = []  # noqa: RUF012 - one list for one test's server

    def do_GET(self) -> None:
        """Answer with nothing."""
        self.seen.append(self.path)
        self.send_response(404)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Stay silent."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """A server of this machine, on a free port of the loopback."""
    Visits.seen.clear()
    with HTTPServer(("127.0.0.1", 0), Visits) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_what_is_no_configured_index_is_not_reached(backout: Backout, environment: Path, server: HTTPServer) -> None:
    """An index named on the command line could be any machine: refused, named; local servers see nothing."""
    pip = str(environment / "bin" / "pip")
    here = f"http://127.0.0.1:{server.server_port}/simple"
    for index in (here, "https://example.com/simple"):
        words = (pip, "install", "--retries", "0", "--index-url", index, "idna")
        document, _ = backout.json("rehearse", "--", *words)
        assert document["exit_code"] != 0
        assert document["effects"] == []
    assert "kept from reaching: example.com:443" in limits(document)
    assert Visits.seen == []


def limits(document: dict[str, Any]) -> str:
    """Give what limits the rehearsal, as one text."""
    return "\n".join(document["limits"])
