"""An incident around a change of Python packages, and what proves that it was learned from: with the real command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kit.cli import Backout
from kit.sshd import Host, World, world

INSTALL = """
import base64, hashlib, pathlib, shutil, sys
site = pathlib.Path(sys.argv[1])
for word in sys.argv[2:]:
    name, _, version = word.partition("==")
    for old in [*site.glob(f"{name}-*.dist-info"), *site.glob(name)]:
        shutil.rmtree(old)
    info = f"{name}-{version}.dist-info"
    files = {f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n"}
    if word != "setuptools==84.0.0":
        files[f"{name}/__init__.py"] = f"VERSION = {version!r}\\n"
    record = [f"{info}/RECORD,,"]
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
        hashed = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        record.append(f"{path},sha256={hashed},{len(text)}")
    (site / info / "RECORD").write_text("\\n".join([*record, ""]))
"""
"""Leaves packages as pip does (PEP 376), in an instant: setuptools 84 has no module any more."""


class Shop(NamedTuple):
    """A host on which a re-resolution was refused, and later the one package that was meant went in; an incident."""

    backout: Backout
    bad: str
    good: str

    @property
    def config(self) -> Path:
        """Its backout.toml."""
        return self.backout.folder / "backout.toml"

    def tested(self) -> tuple[dict[str, Any], int]:
        """Try all proofs again; gives each row by its name, and the exit code."""
        document, code = self.backout.json("guard", "test", "--proofs")
        return {row["name"]: row for row in document["proofs"]}, code


def install(folder: Path, *words: str) -> str:
    """Give the line that installs packages."""
    return f"python3 -B {folder}/install.py {folder}/venv/lib/python3/site-packages {' '.join(words)}"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Flask was to move, and everything moved; then flask alone. Commands that pin and that look are at hand."""
    backout = Backout(tmp_path_factory.mktemp("shop"))
    folder = backout.folder
    (folder / "install.py").write_text(INSTALL)
    imports = f"import sys; sys.path.insert(0, '{folder}/venv/lib/python3/site-packages'); import setuptools"
    checks = {"imports": f'python3 -I -S -B -c \\"{imports}\\"', "stands": "test -d /"}
    (folder / "backout.toml").write_text(
        '[environments.production]\nhosts = ["local"]\n'
        + "".join(
            f'[[environments.production.checks]]\nname = "{name}"\nrun = "{run}"\nwithin = "2s"\n'
            for name, run in checks.items()
        )
        + f'[commands.pin]\nrun = "echo setuptools==65.5.0 > {folder}/pins"\nexpect = ["file:{folder}/pins"]\n'
    )
    silent = ("run", "--network", "none", "--yes", "--quiet", "--")
    assert backout.json(*silent, install(folder, "setuptools==65.5.0", "flask==2.2.5", "click==8.1.0"))[1] == 0
    refused, code = backout.json(*silent, install(folder, "setuptools==84.0.0", "flask==3.1.0", "click==8.1.8"))
    assert (code, refused["verdict"]["decision"]) == (3, "refuse"), refused
    assert backout("panic", "the shop is down", "--quiet").returncode == 0
    kept, code = backout.json(*silent, install(folder, "flask==3.1.0"))
    assert code == 0, kept
    return Shop(backout, refused["change"], kept["change"])


def test_a_guard_is_proposed_added_and_proven_and_turns_red_when_it_is_edited(shop: Shop) -> None:
    """The life of a proof: from the change that was bad to the edit that would have let it happen again."""
    document, code = shop.backout.json("review", "guard")
    assert (code, document["bad"]["change"], document["good"]["change"]) == (0, shop.bad, shop.good)
    first, names = document["candidates"][0], [row["name"] for row in document["candidates"]]
    assert (first["rule"], first["table"]["what"]) == ("max-jump", ["python-package:setuptools"])
    assert "no-major-jumps" in [row["name"] for row in document["left_out"]]  # it would refuse flask, too
    assert names[-1] == "imports"
    before = shop.config.read_text()
    drawn = shop.backout("review", "guard", "--add", "1")
    assert (drawn.returncode, "Guard      setuptools-stays  holds" in drawn.stdout) == (0, True), drawn.stderr
    assert "0 of 2 changes that did none" in " ".join(drawn.stdout.split())
    assert shop.config.read_text().startswith(before)
    held = shop.config.read_text()
    rows, code = shop.tested()
    assert (code, rows["setuptools-stays"]["result"]) == (0, "held")
    shop.config.write_text(held.replace("python-package:setuptools", "python-package:pip"))
    rows, code = shop.tested()
    assert (code, "is python-package:pip." in rows["setuptools-stays"]["why"]) == (3, True), rows
    shop.config.write_text(held)
    assert shop.tested()[1] == 0


def test_a_check_is_proven_in_views_of_the_host_and_a_command_by_its_run(shop: Shop) -> None:
    """Red with the bad change, green without it; one that sees nothing, and what was not done, are told as such."""
    document, code = shop.backout.json("review", "prove", "imports", "stands", "pin")
    rows = {row["name"]: row for row in document["proofs"]}
    assert code == 3
    assert {name: row["result"] for name, row in rows.items()} == {
        "imports": "held",
        "stands": "not proven",
        "pin": "not proven",
    }
    assert "ModuleNotFoundError" in rows["imports"]["why"]
    assert f"It is green without {shop.bad}." in rows["imports"]["why"]
    assert "The host moved on since at" in rows["imports"]["why"]  # flask went in by itself, and the view has both
    assert "would not have seen it" in rows["stands"]["why"]
    assert rows["pin"]["next"] == "backout run pin"
    for said in ("is applied and healthy.", "Its last run had nothing to do."):
        assert shop.backout("run", "pin", "--quiet").returncode == 0
        document, code = shop.backout.json("review", "prove", "pin")
        assert (code, document["proofs"][0]["why"].endswith(said)) == (0, True), document


def test_names_that_are_none_and_numbers_that_are_none_are_told_with_the_way_on(shop: Shop) -> None:
    """Nothing is tried then, and nothing recorded."""
    for words, said in (
        (("review", "prove", "importz"), 'Did you mean "imports"?'),
        (("review", "guard", "--add", "99"), "There is no candidate 99"),
        (("guard", "test", "--proofs", "importz"), "was ever proven"),
    ):
        done = shop.backout(*words)
        assert (done.returncode, said in re.sub(r"\s+", " ", done.stderr)) == (2, True), done.stderr


@pytest.fixture
def reach() -> Iterator[World]:
    """A host that is reached over ssh, with a check."""
    with world() as made:
        made.add("web1")
        made.environments(
            '[environments.production]\nhosts = ["web1"]\n[[environments.production.checks]]\nname = "small"\n'
            f'run = "! test -e {made.folder}/tree/b"\nwithin = "1s"\n[review]\ncooling_off = "0"\n'
        )
        (made.folder / "tree").mkdir()
        yield made


def test_what_another_host_refused_is_proven_there(reach: World, web1: Host) -> None:
    """A guard by what the host tells of its changes, a check in views of that host."""
    run = ("run", "-e", "production", "--network", "none", "--yes", "--", f"cd {reach.folder}/tree && echo x >")
    assert reach.backout(*run[:-1], f"{run[-1]} a").returncode == 0
    assert reach.backout(*run[:-1], f"{run[-1]} b").returncode == 3
    assert reach.backout("panic", "-e", "production", "--quiet", "down").returncode == 0
    assert reach.backout("calm", "--quiet", "--word", "it was never let in").returncode == 0
    document, code = reach.backout.json("review", "guard", "--add", "1")
    assert (code, document["proof"]["result"], document["unreached"]) == (0, "held", [])
    guard = document["candidates"][0]["name"]
    actions = "".join(
        f"### A{number} Refuse what is large\n- owner: Anna\n- due: 2099-01-01\n- kind: prevent\n- closes: P1\n"
        f"- proof: {proof}\n"
        for number, proof in enumerate((f"guard {guard}", "check small"), 1)
    )
    printed = reach.backout("review", "--print").stdout
    text = printed.replace("## Paths\n", "## Paths\n### P1 could have led: anything else\n") + actions
    (reach.folder / "review.md").write_text(text)
    assert reach.backout("review", "--from", f"{reach.folder}/review.md").returncode == 0
    proven, code = reach.backout.json("review", "prove")
    assert (code, [(row["sort"], row["result"]) for row in proven["proofs"]]) == (
        0,
        [("guard", "held"), ("check", "held")],
    )
    closed = reach.backout("review", "close")
    assert (closed.returncode, web1.halves()) == (0, []), closed.stderr
    assert sorted(path.name for path in (reach.folder / "tree").iterdir()) == ["a"]
