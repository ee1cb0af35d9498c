"""`export` and `show INCIDENT`, in this process: what is on record, in the form in which somebody needs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from backout import cli
from backout.store.opening import journal_path
from kit.cli import validate
from kit.incident import ID, Told

BEGIN = 1792888200.0
"""2026-10-25 02:30:00 in Berlin, summer time: half an hour before that hour begins once more."""
CONFIG = """
[environments.production]
hosts = ["local"]
[audiences.client]
to = ["mailto:ops@client.example"]
name = "Client Ltd"
"""
Export = Callable[..., str]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_zone: Callable[[str], None]) -> Iterator[Told]:
    """An incident across the change of the clocks, with something of every kind in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKOUT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    (tmp_path / "backout.toml").write_text(CONFIG)
    in_zone("Europe/Berlin")
    one = Told(journal_path(os.environ), BEGIN)
    one.check(BEGIN + 5, "unhealthy")
    one.pinned(BEGIN + 60, "web2 is *slow*", "web1 is *slow* <b>")
    thought = one.line(BEGIN + 90, "hypothesis", "the disk is full", state="open")
    one.line(BEGIN + 100, "hypothesis", "", state="ruled out", of=thought)
    one.notice(BEGIN + 120, "n1", seen="the shop does not answer", next_at=BEGIN + 1920)
    one.change(BEGIN + 600, "20261025-004000-fgh", "pip", "install", "setuptools==65.5.0")
    one.command(BEGIN + 2400, "df -h | grep '/srv'", host="web1", output="/dev/vda1 40G\n```\nx\n", shell="s1")
    one.command(BEGIN + 2500, "rm", "-rf", "/srv/shop/venv", exit_code=1)
    one.check(BEGIN + 3600, "healthy")
    one.resolve(BEGIN + 3660)
    yield one
    one.journal.close()


@pytest.fixture
def export(capsys: pytest.CaptureFixture[str]) -> Export:
    """Run a command here; gives what it wrote on stdout, its exit code checked."""

    def run(*words: str, verb: str = "export", code: int = 0) -> str:
        assert cli.run([verb, *words]) == code
        said = capsys.readouterr()
        return said.out if code == 0 else said.out + said.err

    return run


@pytest.mark.usefixtures("told")
def test_the_page_tells_everything_and_what_was_typed_stays_text(export: Export) -> None:
    """A page that is pasted into a wiki must show what was written, not obey it; corrected texts stay readable."""
    page = export(ID[-3:])
    assert page.index("## Pinned") < page.index("## Timeline")
    assert "web1 is \\*slow\\* \\<b\\>" in page
    assert "first written: web2 is \\*slow\\*" in page
    assert "- ruled out: the disk is full" in page
    assert "mailto:ops@client.example: sent" in page
    assert "20261025-004000-fgh on web1, ada: kept: pip install setuptools==65.5.0" in page
    assert "exit code 1, 2 s" in page
    assert "````text\n  /dev/vda1 40G\n  ```\n  x\n  ````" in page


@pytest.mark.usefixtures("told")
def test_a_change_of_the_clocks_is_seen(export: Export) -> None:
    """02:30 came twice that night: the order of things must not look turned around, and 40 minutes not like -20."""
    page = export()
    days = re.findall(r"^### (.*)$", page, re.MULTILINE)
    assert days == ["2026-10-25 (CEST, UTC+02:00)", "2026-10-25 (CET, UTC+01:00)"]
    second = page[page.index("CET, UTC+01:00)\n") :]
    assert "**02:10:00** ada, command on web1" in second
    assert "mitigated" not in page
    assert "everybody: 59 min 55 s, by checks" in page


@pytest.mark.parametrize(
    ("zone", "first"),
    [
        ("America/New_York", "### 2026-10-24 (EDT, UTC-04:00)"),
        ("Asia/Kolkata", "### 2026-10-25 (IST, UTC+05:30)"),
        ("America/Sao_Paulo", "### 2026-10-24 (UTC-03:00)"),
    ],
)
@pytest.mark.usefixtures("told")
def test_times_are_those_of_the_reader_and_say_so(
    export: Export, in_zone: Callable[[str], None], zone: str, first: str
) -> None:
    """Three people in three zones read the same incident; a time without its zone is read in two ways."""
    in_zone(zone)
    assert first in export()
    assert "### 2026-10-25 (UTC)" in export("--utc")


class Strict(HTMLParser):
    """Notes every tag and every attribute."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes = set[str](), list[tuple[str, str | None]]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one."""
        self.tags.add(tag)
        self.attributes += attrs


def test_the_html_page_runs_nothing_and_asks_nobody(told: Told, export: Export) -> None:
    """It is mailed around and opened from a disk: a note is no markup in it, and no other machine hears of it."""
    told.line(BEGIN + 30, "note", '<script>alert(1)</script><img src="http://evil.example/x" onerror=x>')
    page = export("--as", "html")
    strict = Strict(page)
    assert {"script", "img", "link", "iframe"}.isdisjoint(strict.tags)
    assert [value for name, value in strict.attributes if name in ("src", "href", "onerror", "action")] == []
    assert "&lt;script&gt;alert(1)" in page
    assert "<svg" in page


@pytest.mark.usefixtures("told")
def test_the_document_holds_everything_and_keeps_to_its_schema(export: Export) -> None:
    """What another program makes of an incident starts here: nothing may be missing from it."""
    document = json.loads(export("--json"))
    validate(document)
    kinds = [entry["kind"] for entry in document["entries"]]
    assert {"note", "correction", "pin", "hypothesis", "notice", "delivery", "change", "command", "check"} == set(kinds)
    (output,) = (entry["contents"] for entry in document["entries"] if entry["text"].startswith("df"))
    assert list(output.values()) == ["/dev/vda1 40G\n```\nx\n"]
    assert [(row["audience"], row["seconds"]) for row in document["downtime"]] == [(None, 3595.0), ("client", 3595.0)]
    assert (document["state"], document["resolved_by"]) == ("resolved", "checks")
    assert export("--as", "json", "--list", "--json") == export("--list", "--json")
    listed = json.loads(export("--list", "--json"))
    validate(listed)
    assert [row["id"] for row in listed["incidents"]] == [ID]


def test_the_picture_is_legible_with_ten_thousand_notes(told: Told, export: Export) -> None:
    """What lies too near is one mark with its number; the same record gives the same bytes."""
    few = len(ET.fromstring(export("--as", "svg")).findall(".//{*}circle"))
    body = {"incident": ID, "kind": "note"}
    with told.journal._writing():
        for number in range(10_000):
            told.journal._add(BEGIN + number / 3, "ada", "entry", {**body, "text": f"note {number}"}, "")
    drawn = export("--as", "svg")
    assert drawn == export("--as", "svg")
    marks = ET.fromstring(drawn).findall(".//{*}circle")
    assert few < len(marks) < few + 70
    assert "notes (10002)" in drawn or "notes (10003)" in drawn
    assert export().count("note 9999") == 1


def test_the_public_text_holds_nothing_that_was_not_said_in_public(told: Told, export: Export) -> None:
    """No host, path, command, user or address: it is put together from public fields, and a draft is not public."""
    told.notice(BEGIN + 700, "n2", type="update", state="failed", changed="web1 was switched off", remedy="rm -rf /srv")
    told.notice(BEGIN + 900, "n3", type="update", changed="orders go through again", remedy="being watched")
    text = export("--as", "public")
    assert "What was seen: the shop does not answer" in text
    assert "What changed: orders go through again\nThe remedy: being watched" in text
    assert "Downtime: 59 min 55 s" in text
    assert "Impact: critical" in text
    for internal in ("web1", "/srv", "ada", "pip", "df -h", "ops@client", "setuptools", "502", "disk", ID):
        assert internal not in text


def test_the_script_repeats_what_worked_and_any_shell_reads_it(told: Told, export: Export, tmp_path: Path) -> None:
    """Someone forgot a step? Automate it all. What failed is a comment, and no text breaks out of one."""
    told.command(BEGIN + 2600, "if", "x", "; 'y", host="")
    told.command(BEGIN + 2610, "cat <(ls) [[ é ]]\nfi", host="", shell="s1")
    told.command(BEGIN + 2620, "A=1 echo ok", host="", **{"as": "say\nrm -rf /"})
    told.command(BEGIN + 2630, "curl -H 'token: ••••' x", host="")
    told.command(BEGIN + 2640, "printf '\x1b[2J'", host="")
    assert export("--as", "script", "-o", "again.sh") == ""
    text = (tmp_path / "again.sh").read_text()
    assert subprocess.run(["/bin/sh", "-n", "again.sh"], check=False, cwd=tmp_path).returncode == 0
    assert "set -eu\n" in text
    assert "ssh -- web1 '(cd /srv/shop && bash -c " in text
    assert "\n# failed: rm -rf /srv/shop/venv\n" in text
    assert "exit code 1, 2 s" in text
    assert "\n(cd /srv/shop && 'if' x '; '\"'\"'y')\n" in text
    assert "# holds a secret, which was not recorded: curl" in text
    assert "\nrm -rf" not in text
    assert "\x1b" not in text


@pytest.mark.usefixtures("told")
def test_a_file_that_is_there_is_not_written_over(export: Export, tmp_path: Path) -> None:
    """The name was used before for what somebody still needs; what an incident holds is its owner's to read."""
    there = tmp_path / "incident.md"
    there.write_text("mine")
    assert "is there already" in export("-o", "incident.md", code=3)
    assert there.read_text() == "mine"
    export("-o", "incident.md", "--force")
    assert there.read_text().startswith("# Incident")
    assert (there.stat().st_mode & 0o777, [path.name for path in tmp_path.glob("*.part")]) == (0o600, [])
    assert "could not be written" in export("-o", "nowhere/x.md", code=1)


@pytest.mark.usefixtures("told")
def test_an_incident_that_is_not_there_is_told(export: Export) -> None:
    """A mistyped id names the list, which `--list` gives."""
    assert "backout export --list" in export("i2026-nope", code=2)
    assert ID in export("--list")


@pytest.mark.usefixtures("told")
def test_a_broken_configuration_keeps_nobody_from_reading_the_record(export: Export, tmp_path: Path) -> None:
    """What happened is in the journal; the file may be what broke."""
    (tmp_path / "backout.toml").write_text("[")
    assert "# Incident" in export()


def test_show_draws_the_timeline_of_an_incident(told: Told, export: Export) -> None:
    """`show` takes any id that a screen shows; nothing on it moves the cursor."""
    told.line(BEGIN + 31, "note", "bell \x07 and \x1b[31mred")
    drawn = export(ID, verb="show")
    assert "\x1b" not in drawn.replace("\\x1b", "")
    assert "\\e[31mred" in drawn
    assert "02:31:00  ada, note (pinned)\n    web1 is *slow* <b>\n    first written: web2 is *slow*" in drawn
    validate(json.loads(export(ID, "--json", verb="show")))
