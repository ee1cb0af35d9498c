"""The whole life of two incidents that were the same fault, five months apart, re-enacted by ourselves.

A change of one setting moves setuptools to a release without `pkg_resources`, as it did to us. The first time it takes
the application down, and its review leaves a guard that is proven. The second time that guard is in the way.
"""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from backout import drill
from kit.cli import Backout, validate

LATER = Path(drill.__file__).with_name("later.py")
DAY = 86400.0
SILENT = ("--network", "none")
CONFIG = """
[environments.production]
hosts = ["local"]
[review]
cooling_off = "12h"
[audiences.client]
name = "Client Ltd"
to = ["mailto:ops@client.example"]
[mail]
server = "127.0.0.1:9"
from = "ops@us.example"
"""
APP = """\
import sys
sys.path.insert(0, sys.path[0] + "/venv/lib/python3.12/site-packages")
import pkg_resources
print("the shop sells")
"""
SETTING = "echo 'timeout = 90' > gunicorn.conf.py"


class Shop(Backout):
    """A small application, the change that breaks it, and the command line at any time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.site = self.folder / "venv/lib/python3.12/site-packages"
        self.site.mkdir(parents=True)
        (self.folder / "venv/pyvenv.cfg").write_text("version = 3.12.1\n")
        (self.folder / "app.py").write_text(APP)
        (self.folder / "backout.toml").write_text(CONFIG)
        released(self.site, "65.5.0", "pkg_resources.py")
        new = self.folder / "84"
        released(new, "84.0.0", "setuptools.py")
        update = f"rm -r {self.site}/*; cp -r {new}/. {self.site}; {SETTING}"
        (self.folder / "update.sh").write_text(update)

    def later(self, seconds: float, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command line so much later than now."""
        return subprocess.run(
            [sys.executable, str(LATER), str(seconds), "--", *words],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def told(self, seconds: float, *words: str, code: int = 0) -> dict[str, Any]:
        """Run it with --json, so much later; gives the document, validated."""
        done = self.later(seconds, "--json", *words)
        assert done.returncode == code, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        validate(document)
        return document

    def sells(self) -> bool:
        """Tell whether the application starts."""
        return (
            subprocess.run([sys.executable, "app.py"], cwd=self.folder, capture_output=True, check=False).returncode
            == 0
        )


def released(site: Path, version: str, module: str) -> None:
    """Lay down a release of setuptools as pip does."""
    info = site / f"setuptools-{version}.dist-info"
    info.mkdir(parents=True)
    files = {module: "", f"{info.name}/METADATA": f"Metadata-Version: 2.1\nName: setuptools\nVersion: {version}\n"}
    rows = []
    for name, text in files.items():
        (site / name).write_text(text)
        digest = urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(text)}\n")
    (info / "RECORD").write_text("".join(rows) + f"{info.name}/RECORD,,\n")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Give the application as it ran for years."""
    return Shop(tmp_path)


def day(seconds: float) -> str:
    """Give the day on which it is so much later."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).date().isoformat()


def write_review(shop: Shop, at: float, guard: str) -> None:
    """Write the review of the first incident: one action is proven by a guard, the other one is handed over."""
    printed = shop.later(at, "review", "--print").stdout
    paths = "## Paths\n### P1 could have led: any change that installs without pins\n"
    actions = (
        "## Actions\n### A1 Refuse a change that moves setuptools across a major version\n- owner: Anna\n"
        f"- due: {day(at + 14 * DAY)}\n- kind: prevent\n- closes: P1\n- proof: guard {guard}\n"
        "### A2 Write the pins into requirements.txt\n- owner: Ben\n"
        f"- due: {day(at + 14 * DAY)}\n- kind: prevent\n- closes: P1\n- proof: handed to Ben by {day(at + 30 * DAY)}\n"
    )
    (shop.folder / "review.md").write_text(printed.replace("## Paths\n", paths).replace("## Actions\n", actions))
    done = shop.later(at, "review", "--from", "review.md")
    assert done.returncode == 0, done.stderr


def first_incident(shop: Shop) -> tuple[str, str]:
    """Live through the first one, to its closed review; gives the incident and the name of the guard."""
    assert shop(*(said := ("run", *SILENT, "--yes", "--")), "echo 'workers = 4' > workers.conf.py").returncode == 0
    assert shop(*said, "sh update.sh").returncode == 0
    assert not shop.sells()
    name = shop.json("panic", "-e", "production", "the shop answers 502")[0]["incident"]["id"]
    assert shop("do", "--", sys.executable, "app.py").returncode == 1
    assert shop("back").returncode == 0
    assert shop.sells()
    done = shop("calm", "--word", "it sells again", "--why", "packages moved", "--done", "taken back", "--lost", "none")
    assert "Not known yet; we review on" in done.stdout

    after = DAY
    proposed = shop.told(after, "review", "guard", "--add", "1")
    best = proposed["candidates"][0]
    assert (best["rule"], proposed["proof"]["result"]) == ("max-jump", "held")
    write_review(shop, after, best["name"])
    closed = shop.later(after, "review", "close")
    assert closed.returncode == 0, closed.stderr
    assert "Can it happen again: Less likely: setuptools" in closed.stdout
    assert f"backout tell --incident {name} --letter" in closed.stdout
    return name, best["name"]


def test_the_first_one_s_proven_guard_refuses_the_second_one_s_change(shop: Shop) -> None:
    """Nothing bites twice; and whoever passes the guard is told in the next incident that they did."""
    first, guard = first_incident(shop)
    months = 150 * DAY
    change = ("run", *SILENT, "--yes", "--", "sh update.sh")
    refused = shop.told(months, *change, code=3)
    (reason,) = refused["verdict"]["reasons"]
    assert reason["what"].startswith(f"Guard {guard}: a package crosses a major version: ")
    assert shop.sells()
    overdue = shop.later(months, "log").stdout
    assert f"A2 of {first} was to be done by Ben, by" in overdue

    file = shop.folder / "backout.toml"
    file.write_text(file.read_text().replace(f'name = "{guard}"', f'name = "{guard}"\noverride = true'))
    forced = shop.told(months, *change[:-2], "--override", guard, "--why", "the client waits", *change[-2:])
    assert not shop.sells()
    assert "RECURRENCE" not in shop.later(months + 60, "panic", "-e", "production", "down again").stdout
    assert shop.later(months + 90, "do", "--", sys.executable, "app.py").returncode == 1
    seen = shop.later(months + 120, "panic").stdout
    assert "RECURRENCE: it said the same then." in seen
    assert f"A1 guard {guard} was overridden in {forced['change']}: " in " ".join(seen.split())
    document = shop.told(months + 150, "export")
    (row,) = document["recurrences"]
    assert (row["incident"], row["signatures"]) == (first, ["ModuleNotFoundError: No module named 'pkg_resources'"])
    assert [(one["action"], one["standing"]) for one in row["actions"]] == [("A1", "overridden"), ("A2", "handed")]
    assert f"A1 guard {guard} was overridden in {forced['change']}" in shop.later(months, "review", "--print").stdout

    file.write_text(CONFIG)
    assert f"There is no guard {guard}, which proved A1 of {first}" in " ".join(
        shop.later(months, "log").stdout.split()
    )
