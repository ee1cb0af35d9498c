"""The guards of other languages that the guide shows, taken from its page and really asked.

conftest itself is run where this machine has it. Everywhere, its policy is evaluated by another implementation of Rego,
regopy, behind the command line of the example: that shows the policy and the exit codes, not conftest.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from kit.cli import CHECKED, Backout

GUIDE = (Path(__file__).parents[2] / "docs" / "guide" / "guards.md").read_text()
SILENT = ("--network", "none")
STAND_IN = f"""#!{sys.executable}
import json, sys
from pathlib import Path
from regopy import Interpreter
assert sys.argv[1:] == ["test", "--fail-on-warn", "--no-color", "--quiet", "--parser", "json", "-"], sys.argv
rego = Interpreter()
for file in Path("policy").glob("*.rego"):
    rego.add_module(file.name, file.read_text())
rego.set_input(json.load(sys.stdin))
denied = rego.query("data.main.deny").results[0].expressions[0]
for message in sorted(denied):
    print("FAIL - - - main -", message)
sys.exit(2 if denied else 0)
"""


def blocks(language: str) -> list[str]:
    """The page's listings in a language."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", GUIDE)


def example(name: str) -> str:
    """The guard of a name, as the page has it."""
    (found,) = [block for block in blocks("toml") if f'name = "{name}"' in block]
    return found


def changed(backout: Backout, script: str) -> tuple[int, str]:
    """Rehearse a script on a shop with one package; gives the exit code and the first reason."""
    wanted = ("--expect", f"file:{backout.folder}/*", "--expect", "python-package:*")
    document, code = backout.json("rehearse", *SILENT, *wanted, "--", script)
    return code, document["verdict"]["reasons"][0]["what"] if code else ""


@pytest.fixture
def shop(backout: Backout) -> Backout:
    """A folder with a virtualenv that has one package."""
    info = backout.folder / "venv/lib/python3.12/site-packages/flask-2.2.5.dist-info"
    info.mkdir(parents=True)
    (backout.folder / "venv" / "pyvenv.cfg").touch()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flask\nVersion: 2.2.5\n")
    (info / "RECORD").write_text("flask-2.2.5.dist-info/METADATA,,\nflask-2.2.5.dist-info/RECORD,,\n")
    return backout


def configure(backout: Backout, name: str) -> None:
    """Put a guard of the guide in force."""
    (backout.folder / "backout.toml").write_text(CHECKED.format(name="fine", run="true") + example(name))


def test_the_guard_with_jq_refuses_what_it_says_and_nothing_else(shop: Backout) -> None:
    """The shortest way to a rule of one's own."""
    configure(shop, "no-package-goes")
    code, reason = changed(shop, "rm -r venv/lib/python3.12/site-packages/flask-2.2.5.dist-info")
    assert code == 3
    assert f"these packages would go: {shop.folder}/venv:flask." in reason
    assert changed(shop, "echo workers = 4 > app.conf") == (0, "")


@pytest.mark.parametrize("program", ["regopy", *(["conftest"] if shutil.which("conftest") else [])])
def test_the_policy_in_rego_refuses_what_it_says_and_nothing_else(shop: Backout, program: str, tmp_path: Path) -> None:
    """What a team has in Rego already is one guard here."""
    if program == "regopy":
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "conftest").write_text(STAND_IN)
        (tmp_path / "bin" / "conftest").chmod(0o755)
        shop.environ["PATH"] = f"{tmp_path}/bin:{shop.environ['PATH']}"
    (shop.folder / "policy").mkdir()
    (policy,) = [block for block in blocks("text") if block.startswith("package main")]
    (shop.folder / "policy" / "changes.rego").write_text(policy)
    configure(shop, "rego")
    code, reason = changed(shop, "rm -r venv/lib/python3.12/site-packages/flask-2.2.5.dist-info")
    assert code == 3
    assert f"{shop.folder}/venv:flask would go" in reason
    code, reason = changed(shop, "echo secret > open; chmod 666 open")
    assert code == 3
    assert f"everybody could write {shop.folder}/open" in reason
    assert changed(shop, "echo workers = 4 > app.conf; ln -s app.conf link") == (0, "")
    (shop.folder / "policy" / "changes.rego").write_text("package main\nthis is not Rego\n")
    code, reason = changed(shop, "echo workers = 4 > app.conf")
    assert code == 3
    assert "which is no answer: 0 lets through, 3 refuses" in reason
