"""`backout compare` of stored looks, as a person has it: what is told, what is folded, and since when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backout.flow.looked import LOOK, keep_facts
from backout.model.fact import Fact
from backout.store.sqlite import SqliteJournal
from kit.cli import Backout

CONFIG = """
[environments.staging]
hosts = ["stage1"]
watch = ["/srv/shop"]
services = ["shop"]
[environments.production]
hosts = ["web1", "web2"]
watch = ["/srv/shop", "/etc/nginx"]
services = ["shop"]
"""
RULE = """
[[environments.production.differs]]
what = "config:/srv/shop/.env#DATABASE_URL"
why = "each environment has its own database"
"""
FILE = {"type": "file", "mode": "0644", "uid": 0, "gid": 0, "size": 3, "sha256": "a" * 64}
BASE: dict[tuple[str, str], Any] = {
    ("debian-package", "nginx"): "1.22.1-9",
    ("python-package", "/srv/shop/venv:setuptools"): "65.5.0",
    ("service", "shop.service"): {"enabled": True, "active": True},
    ("config", "/srv/shop/.env#DATABASE_URL"): "db1",
    ("file", "/srv/shop/.env"): FILE,
    ("file", "/srv/shop/app.py"): FILE,
}
T0 = 1_790_000_000.0


class Looks:
    """Stored looks at hosts that nobody has."""

    def __init__(self, backout: Backout, path: Path) -> None:
        self.backout, self._path = backout, path

    def add(
        self, host: str, facts: Mapping[tuple[str, str], Any], at: float = T0, seq: int = 0, newest: str | None = None
    ) -> None:
        """Store one."""
        rows = sorted((Fact(*key, value) for key, value in facts.items() if value), key=lambda fact: fact.key)
        environment = "staging" if host.startswith("stage") else "production"
        with closing(SqliteJournal(self._path)) as journal:
            body = {
                "host": host,
                "environment": environment,
                "parts": keep_facts(journal, rows),
                "ledger_seq": seq,
                "newest_change": newest,
            }
            journal.append(at=at, actor="ops", type=LOOK, body=body)

    def compare(self, *words: str) -> tuple[dict[str, Any], int]:
        """Compare what is stored."""
        return self.backout.json("compare", "staging", "production", "--stored", *words)

    def configure(self, more: str = "") -> None:
        """Write backout.toml."""
        (self.backout.folder / "backout.toml").write_text(CONFIG + more)


@pytest.fixture
def looks(backout: Backout, tmp_path: Path) -> Looks:
    """Three hosts that were looked at, all alike."""
    (tmp_path / "xdg" / "backout").mkdir(parents=True)
    made = Looks(backout, tmp_path / "xdg" / "backout" / "journal.db")
    made.configure()
    for host in ("stage1", "web1", "web2"):
        made.add(host, BASE)
    return made


def named(document: dict[str, Any]) -> list[tuple[str, str | None, list[str]]]:
    """Name the differences, within what, and on which hosts."""
    return [(row["subject"], row["within"], row["hosts"]) for row in document["differences"]]


def test_what_is_the_same_is_said_and_ends_with_0(looks: Looks) -> None:
    """A script asks no more than that; a person sees as of when."""
    document, code = looks.compare()
    assert (document["differences"], code) == ([], 0)
    assert {look["stored"] for look in document["looks"]} == {"no host was asked"}
    assert document["limits"] == ["Only production is looked at for /etc/nginx: that is not compared."]
    drawn = looks.backout("compare", "staging", "production", "--stored").stdout
    assert "staging and production are the same where they should be." in drawn


def test_a_difference_is_told_once_with_the_hosts_it_holds_for(looks: Looks) -> None:
    """Packages first, files last; the odd host of a fleet by name."""
    moved = {
        **BASE,
        ("python-package", "/srv/shop/venv:setuptools"): "84.0.0",
        ("file", "/srv/shop/app.py"): {**FILE, "size": 4, "sha256": "b" * 64},
        ("config", "/srv/shop/.env#DATABASE_URL"): "db2",
        ("file", "/srv/shop/.env"): {**FILE, "sha256": "c" * 64},
    }
    looks.add("web1", moved, T0 + 1)
    looks.add("web2", {**moved, ("debian-package", "nginx"): "1.26.3-3"}, T0 + 1)
    document, code = looks.compare()
    both = ["web1", "web2"]
    assert code == 3
    assert named(document) == [
        ("/srv/shop/venv:setuptools", None, both),
        ("/srv/shop/.env#DATABASE_URL", None, both),
        ("/srv/shop/app.py", None, both),
        ("nginx", "production", ["web2"]),
    ]
    drawn = looks.backout("compare", "staging", "production", "--stored")
    assert (drawn.returncode, max(map(len, drawn.stdout.splitlines())) <= 80) == (3, True)
    for words in ("65.5.0 → 84.0.0", "Hosts of production do not agree", "on web2"):
        assert words in drawn.stdout, drawn.stdout


def test_the_other_way_around_is_the_same_the_other_way_around(looks: Looks) -> None:
    """Nobody remembers which one comes first."""
    for host in ("web1", "web2"):
        looks.add(host, {**BASE, ("debian-package", "nginx"): "1.26.3-3"}, T0 + 1)
    turned, code = looks.backout.json("compare", "production", "staging", "--stored")
    (row,) = turned["differences"]
    assert (row["before"], row["after"], row["hosts"], code) == ("1.26.3-3", "1.22.1-9", ["stage1"], 3)


def test_what_is_meant_to_differ_is_counted_with_its_reason(looks: Looks) -> None:
    """And covers the bytes of its file, of which nothing else is different."""
    looks.configure(RULE)
    for number, host in enumerate(("web1", "web2")):
        url = {
            ("config", "/srv/shop/.env#DATABASE_URL"): "db2",
            ("file", "/srv/shop/.env"): {**FILE, "sha256": "c" * 64},
        }
        looks.add(host, {**BASE, **url}, T0 + number)
    document, code = looks.compare()
    assert (document["differences"], code) == ([], 0)
    assert [(rule["count"], rule["why"]) for rule in document["differs"]] == [
        (1, "each environment has its own database")
    ]
    assert (
        "each environment has its own database" in looks.backout("compare", "staging", "production", "--stored").stdout
    )


def test_a_rule_that_matches_nothing_is_pointed_out(looks: Looks) -> None:
    """It would hide the next difference that happens to look like it."""
    looks.configure(RULE)
    document, code = looks.compare()
    assert ([rule["count"] for rule in document["differs"]], code) == ([0], 0)
    drawn = " ".join(looks.backout("compare", "staging", "production", "--stored").stdout.split())
    assert "matches nothing any more: take it out of backout.toml" in drawn


def test_a_baseline_folds_what_was_accepted_and_shows_what_is_new(looks: Looks) -> None:
    """A staging that is hopelessly different is of use again; nothing that changed since hides in it."""
    nginx = ("debian-package", "nginx")
    for host in ("web1", "web2"):
        looks.add(host, {**BASE, nginx: "1.26.3-3"}, T0 + 1)
    until = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)).isoformat()
    accepted, code = looks.compare("--accept", "--why", "new image in March", "--until", until)
    assert (accepted["differences"], accepted["baseline"]["folded"], code) == ([], 1, 0)
    assert looks.compare()[1] == 0
    assert looks.backout.json("compare", "production", "staging", "--stored")[1] == 0
    for host in ("web1", "web2"):
        looks.add(host, {**BASE, nginx: "1.27.0-1", ("debian-package", "curl"): "8"}, T0 + 2)
    document, code = looks.compare()
    assert (sorted(row["subject"] for row in document["differences"]), code) == (["curl", "nginx"], 3)
    assert (document["baseline"]["folded"], document["baseline"]["why"]) == (0, "new image in March")


def test_a_baseline_that_is_over_folds_nothing_and_says_so(looks: Looks, tmp_path: Path) -> None:
    """Accepted for a while is not accepted for good."""
    for host in ("web1", "web2"):
        looks.add(host, {**BASE, ("debian-package", "nginx"): "1.26.3-3"}, T0 + 1)
    tomorrow = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)).isoformat()
    assert looks.compare("--accept", "--why", "x", "--until", tomorrow)[1] == 0
    with closing(SqliteJournal(tmp_path / "xdg" / "backout" / "journal.db")) as journal:
        *_, event = journal.events()
        journal.append(at=T0, actor="ops", type="baseline", body={**event.body, "until": "2026-01-01"})
    document, code = looks.compare()
    assert (len(document["differences"]), document["baseline"]["expired"], code) == (1, True, 3)
    assert "which is past" in looks.backout("compare", "staging", "production", "--stored").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--accept",), "--accept needs --why TEXT and --until DATE"),
        (("--accept", "--why", "x"), "--accept needs --why TEXT and --until DATE"),
        (("--accept", "--why", "x", "--until", "2020-01-01"), "2020-01-01 is past"),
        (("--accept", "--why", "x", "--until", "soon"), "'soon' is not a day such as 2026-12-31"),
        (("--why", "x"), "belong to --accept"),
    ],
)
def test_what_is_accepted_needs_a_reason_and_a_day(looks: Looks, words: tuple[str, ...], said: str) -> None:
    """Without them nobody would ever look at it again."""
    document, code = looks.compare(*words)
    assert code == 2
    assert said in document["what"]


def test_an_environment_that_was_never_looked_at_is_named(backout: Backout) -> None:
    """With what to do about it."""
    (backout.folder / "backout.toml").write_text(CONFIG)
    document, code = backout.json("compare", "staging", "production", "--stored")
    assert (code, document["next"]) == (1, "backout look staging")


def test_since_tells_between_which_looks_it_moved_and_on_which_side(looks: Looks) -> None:
    """Drift is what no change of backout's lies beside; where looks do not reach, that is said."""
    nginx, python = ("debian-package", "nginx"), ("python-package", "/srv/shop/venv:setuptools")
    for host in ("web1", "web2"):
        looks.add(host, {**BASE, nginx: "1.26.3-3"}, T0 + 3600)
        looks.add(host, {**BASE, nginx: "1.26.3-3", python: "84.0.0"}, T0 + 7200)
    looks.add("stage1", {**BASE, ("debian-package", "curl"): "8"}, T0 + 7200)
    document, _ = looks.compare("--since")
    since = {row["subject"]: row["since"] for row in document["differences"]}
    assert (since["nginx"]["host"], since["nginx"]["change"], since["nginx"]["sure"]) == ("web1", None, True)
    assert since["curl"]["host"] == "stage1"
    moved = since["/srv/shop/venv:setuptools"]
    hours = [dt.datetime.fromisoformat(moved[name]).timestamp() - T0 for name in ("after", "before")]
    assert hours == [3600, 7200]
    assert "drift" in looks.backout("compare", "staging", "production", "--stored", "--since").stdout


def test_since_names_where_stored_looks_do_not_reach(looks: Looks) -> None:
    """What was never the same has no beginning that is on record."""
    looks.configure()
    for host in ("web1", "web2"):
        looks.add(host, BASE, T0 - 10)
    looks.add("stage1", {**BASE, ("debian-package", "nginx"): "2"}, T0 - 20)
    looks.add("stage1", {**BASE, ("debian-package", "nginx"): "2"}, T0 + 20)
    document, _ = looks.compare("--since")
    (row,) = document["differences"]
    assert row["since"]["host"] is not None or row["since"]["before"] is not None
