"""`panic`, in this process: whatever is typed or broken, an incident is open and the screen is there."""

from __future__ import annotations

import errno
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backout import bootstrap, cli
from backout.flow.incidents import read, record, state
from backout.model.incident import Incident
from backout.store.aside import Aside
from backout.store.opening import journal_path
from kit.cli import validate

CONFIG = """
[environments.production]
hosts = ["local"]
[[environments.production.checks]]
name = "answers"
run = "test ! -e {folder}/down || {{ echo 502 Bad Gateway; exit 1; }}"
within = "1s"
[audiences.client]
to = ["mailto:ops@client.example"]
name = "Client Ltd"
[audiences.other]
to = ["mailto:ops@other.example"]
environments = ["staging"]
[environments.staging]
hosts = ["staging.invalid"]
"""
Panic = Callable[..., tuple[int, str]]


@pytest.fixture
def panic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Panic:
    """Run `backout panic` here, with a state and a configuration of its own; gives exit code and all that it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKOUT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    (tmp_path / "backout.toml").write_text(CONFIG.format(folder=tmp_path))

    def run(*words: str) -> tuple[int, str]:
        code = cli.run(["panic", *words])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def incidents() -> list[Incident]:
    """What the journal holds."""
    with bootstrap.journal() as journal:  # type: ignore[attr-defined]
        return list(read(journal).values())


def only() -> Incident:
    """The one incident."""
    (incident,) = incidents()
    return incident


def document(panic: Panic, *words: str) -> tuple[int, dict[str, Any]]:
    """Run it with --json; what it gives is held against its schema."""
    code, said = panic("--json", *words)
    loaded: dict[str, Any] = json.loads(said)
    validate(loaded)
    return code, loaded


def test_two_words_open_an_incident(panic: Panic) -> None:
    """It is all that anybody has to remember."""
    code, said = panic()
    assert code == 0
    assert only().environment == "production"
    assert only().state == "open"
    assert f"Incident {only().id} on production" in said
    assert "Client Ltd: first word by" in said
    assert "ops@other" not in said


def test_the_second_one_joins_and_its_words_are_a_note(panic: Panic) -> None:
    """Two people see it break at the same time; two incidents would tell half of it each."""
    panic("site", "is", "down")
    code, said = panic("the", "shop,", "too", "--severity", "2")
    assert code == 0
    assert "joined" in said
    assert (only().text, only().severity) == ("site is down", 2)
    assert [entry.text for entry in only().of_kind("note")] == ["the shop, too"]


def test_how_checks_are_is_a_line_when_it_is_new(panic: Panic, tmp_path: Path) -> None:
    """Downtime is told from these lines: the first one, and each change; no line says what the last one said."""
    (tmp_path / "down").touch()
    _, first = document(panic)
    panic()
    (tmp_path / "down").unlink()
    panic()
    lines = only().of_kind("check")
    assert [line.body["result"] for line in lines] == ["unhealthy", "healthy"]
    assert "502 Bad Gateway" in lines[0].body["output"]
    assert [(check["name"], check["result"]) for check in first["checks"]] == [("answers", "unhealthy")]


@pytest.mark.parametrize(
    ("words", "remark"),
    [
        (["--sevrity", "1"], "--sevrity was taken as --severity"),
        (["--severity=high"], "left out of the text: --severity=high (it needs 1, 2 or 3)"),
        (["-e"], "left out of the text: -e (it needs a value)"),
        (["--foo"], "not understood, and left out of the text: --foo"),
        (["-e", "prodction"], "No environment 'prodction' is configured: it was taken as 'production'."),
        (["--config", "/nowhere/backout.toml"], "/nowhere/backout.toml cannot be read"),
    ],
)
def test_what_was_not_understood_is_said_in_the_end(panic: Panic, words: list[str], remark: str) -> None:
    """Nothing that is typed keeps it from working, and nothing is passed over in silence."""
    code, said = panic(*words)
    assert code == 0
    assert len(incidents()) == 1
    assert said.index(remark) > said.index("Incident")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("--foo site down --sevrity 2", ("production", 2, "site down")),
        ("--severity 4 site down", ("production", 1, "site down")),
        ("the shop -e staging is down", ("staging", 1, "the shop is down")),
        ("the shop is down -e stagng", ("staging", 1, "the shop is down")),
        ("somebody ran grep -e shop and df -h", ("production", 1, "somebody ran grep shop and df")),
    ],
)
def test_the_text_is_what_was_meant_and_the_record_has_what_was_typed(
    panic: Panic, tmp_path: Path, words: str, meant: tuple[str, int, str]
) -> None:
    """The text is in the first word to clients, who should read of the site, and not of our slips."""
    (tmp_path / "backout.toml").write_text('[environments]\nproduction.hosts = ["local"]\nstaging.hosts = ["local"]\n')
    code, said = panic(*words.split())
    (one,) = incidents()
    assert (code, (one.environment, one.severity, one.text)) == (0, meant)
    with bootstrap.journal() as journal:  # type: ignore[attr-defined]
        (opened,) = journal.events(type="incident")
    assert opened.body.get("typed", words) == words
    assert ("typed" in opened.body) == ("not understood" in said or "taken as --" in said)


def test_a_slip_in_what_is_said_to_an_open_incident_is_kept_with_its_note(panic: Panic) -> None:
    """What nobody understood may be understood later."""
    panic("site", "down")
    panic("--foo", "web2", "too")
    (note,) = only().of_kind("note")
    assert (note.text, note.body["typed"]) == ("web2 too", "--foo web2 too")


def test_a_broken_configuration_is_as_good_as_none(panic: Panic, tmp_path: Path) -> None:
    """It may be the very file that was changed."""
    (tmp_path / "backout.toml").write_text("[environments\n")
    code, said = panic("help")
    assert (code, only().environment) == (0, "local")
    assert "backout.toml" in said


def test_an_environment_that_nobody_knows_has_its_incident(panic: Panic) -> None:
    """The configuration may be elsewhere; the clock runs all the same."""
    code, told = document(panic, "-e", "warehouse")
    assert (code, only().environment, told["hosts"]) == (0, "warehouse", [])
    assert "No environment 'warehouse' is configured" in told["remarks"][0]
    assert cli.run(["calm", "-e", "warehouse", "--word", "it was the wrong name", "--quiet"]) == 0
    assert only().state == "resolved"
    assert cli.run(["calm", "-e", "wharehouse"]) == 2


def test_a_damaged_journal_is_said_and_what_is_new_lies_aside(panic: Panic, tmp_path: Path) -> None:
    """The record is lost, not the host: what it says is the screen then, and what is typed is kept elsewhere."""
    path = journal_path({"XDG_STATE_HOME": str(tmp_path / "xdg")})
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database, and never was one" * 100)
    code, told = document(panic, "help")
    assert (code, told["kept"], told["incident"]["text"]) == (0, "aside", "help")
    assert told["checks"][0]["result"] == "healthy"
    assert "is damaged" in told["remarks"][0]
    code, said = panic("once", "more")
    assert "joined" in said
    assert "NOT IN THE JOURNAL" in said
    path.unlink()
    assert [entry.text for entry in only().of_kind("note")] == ["once more"]


def test_what_can_be_kept_nowhere_is_said_first(panic: Panic, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever believes that it is written down does not write it down."""
    monkeypatch.setattr(Aside, "keep", nowhere)
    (tmp_path / "xdg").write_text("a file where the folder should be")
    code, said = panic("help")
    assert code == 5
    assert said.index("NOTHING IS KEPT") < said.index("Last changes")
    assert "1 healthy" in said


def nowhere(*_: object) -> str:
    """Take nothing, as full disks do."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_host_that_accepts_and_says_nothing_has_five_seconds(panic: Panic, tmp_path: Path) -> None:
    """It hangs as machines do that are out of memory; the other one is told of meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        hosts = f'hosts = ["local", "ssh://127.0.0.1:{port}"]'
        text = CONFIG.format(folder=tmp_path).replace('hosts = ["local"]', hosts)
        (tmp_path / "backout.toml").write_text(text)
        code, told = document(panic, "-e", "production")
    assert code == 0
    assert [host["answered"] for host in told["hosts"]] == [True, False]
    assert "said nothing for 5 s" in told["hosts"][1]["error"]["what"]


def test_the_first_screen_waits_for_no_import_of_what_draws_reports() -> None:
    """A tenth of a second more is felt by whoever waits for anything at all; other commands need these."""
    look = "import sys, backout.cli.panic; print([m for m in sys.modules if m in ('rich', 'asyncio', 'logging')])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_state_is_saved_and_backups_are_made_once(panic: Panic, tmp_path: Path) -> None:
    """What the host was like is gone with the first fix; a dump that is made twice may finish off a database."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "conf").write_text("workers = 2\n")
    extra = f'watch = ["{tmp_path}/app"]\n[[environments.production.checks]]'
    backups = f"""
[[backups]]
name = "dump"
run = "echo x >> {tmp_path}/dumps"
at_panic = true
[[backups]]
name = "big"
run = "touch {tmp_path}/big"
max_age = "24h"
"""
    text = CONFIG.format(folder=tmp_path).replace("[[environments.production.checks]]", extra) + backups
    (tmp_path / "backout.toml").write_text(text)
    _, told = document(panic)
    (saved,) = told["saved"]
    assert (saved["files"], saved["left_out"], saved["again"]) == (1, [], False)
    assert [(row["name"], row["exit_code"], row["too_old"]) for row in told["backups"]] == [
        ("dump", 0, False),
        ("big", None, True),
    ]
    _, again = document(panic)
    assert again["saved"][0]["again"] is True
    assert (tmp_path / "dumps").read_text() == "x\n"
    assert not (tmp_path / "big").exists()
    assert [entry.body["name"] for entry in only().of_kind("backup")] == ["state", "dump"]


RESTORED = """
[[backups]]
name = "dump"
run = "echo rows > {folder}/dump"
restore_test = "echo looking; grep {what} {folder}/dump"
at_panic = true
max_age = "24h"
[[backups]]
name = "elsewhere"
environments = ["staging"]
run = "true"
"""


class Typed(io.StringIO):
    """What a person types at a terminal."""

    def isatty(self) -> bool:
        """Be one."""
        return True


def test_a_backup_that_was_made_can_be_tried_and_what_came_of_it_is_told(
    panic: Panic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup that nobody restored is a hope; the fix that is about to be tried may need more than that."""
    with (tmp_path / "backout.toml").open("a") as config:
        config.write(RESTORED.format(folder=tmp_path, what="rows"))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", Typed("\n\n\ny\n"))
    _, said = panic()
    restore = f"backout do --as 'dump restore' -- 'echo looking; grep rows {tmp_path}/dump'"
    assert "dump: none on record, never seen restored; made now" in said
    assert said.index("Backup dump is made.") < said.index(restore) < said.index("Test now that backup dump can be")
    assert "Backup dump: last restored " in said
    line = only().of_kind("backup")[-1]
    assert (line.text, line.body["name"], line.body["exit_code"]) == ("Backup dump can be restored", "dump restore", 0)
    assert (line.body["output"], line.body["duration_s"] > 0) == ("looking\nrows\n", True)
    monkeypatch.setattr(sys, "stdin", Typed("\n\n\n"))
    _, said = panic()
    assert "Test now" not in said
    (row,) = document(panic)[1]["backups"]
    assert (row["untested"], row["tested"]["exit_code"], row["restored_at"]) == (False, 0, row["tested"]["at"])


def test_a_backup_that_failed_is_not_tried_again_unasked(panic: Panic, tmp_path: Path) -> None:
    """A dump that fails may be what a struggling database cannot bear, and each who joins would make another."""
    with (tmp_path / "backout.toml").open("a") as config:
        text = RESTORED.format(folder=tmp_path, what="rows")
        config.write(text.replace("echo rows >", f"echo x >> {tmp_path}/n; false # "))
    _, said = panic()
    assert "Backup dump failed with exit code 1." in said
    _, said = panic()
    assert "  dump: none on record, FAILED " in said
    assert "    backout do --as dump -- " in said
    assert (tmp_path / "n").read_text() == "x\n"


def test_a_backup_that_could_not_be_restored_is_told_beside_its_age(panic: Panic, tmp_path: Path) -> None:
    """Whoever reads that it was made an hour ago would otherwise count on it; what was done on another host says no."""
    with (tmp_path / "backout.toml").open("a") as config:
        config.write(RESTORED.format(folder=tmp_path, what="users").replace("at_panic = true", ""))
    now, here = time.time(), os.uname().nodename
    with bootstrap.journal() as journal:  # type: ignore[attr-defined]
        for at, name, code in ((now - 100_000, "dump", 0), (now - 90_000, "dump restore", 0), (now, "dump restore", 1)):
            more = {"host": here, "as": name, "exit_code": code, "duration_s": 3.0}
            record(journal, "ada", None, "command", name, more=more, at=at)
        record(journal, "ada", None, "command", "dump", more={**more, "as": "dump", "exit_code": 0, "host": "other"})
    _, said = panic()
    told = next(line for line in said.splitlines() if line.startswith("  dump: "))
    assert ", more than 1 d ago, NOT RESTORED " in told
    assert ", exit code 1, last restored " in told
    assert "Ways out" not in said


def test_who_was_told_is_owed_the_next_word(panic: Panic) -> None:
    """A first word that is asked for twice is sent twice."""
    _, told = document(panic)
    assert [row["word"] for row in told["audiences"]] == ["first"]
    with bootstrap.journal() as journal:  # type: ignore[attr-defined]
        notice = {"notice": "n1", "audience": "client", "type": "first", "status": "investigating", "targets": ["x"]}
        record(journal, "anna", only().id, "notice", "told", more={**notice, "next_at": 4102444800.0})
        sent = {"notice": "n1", "target": "x", "attempt": 1, "message_id": "", "state": "sent"}
        record(journal, "anna", only().id, "delivery", "sent", more=sent)
    _, told = document(panic)
    assert [(row["word"], row["due_at"]) for row in told["audiences"]] == [("update", "2100-01-01T00:00:00.000+00:00")]


def test_a_way_out_that_was_done_is_told_with_the_time_that_it_took(panic: Panic) -> None:
    """What helped last time, and how long it takes, decides what is tried first."""
    panic()
    with bootstrap.journal() as journal:  # type: ignore[attr-defined]
        for code, duration_s in ((0, 118.0), (1, 3.0), (0, 120.0)):
            more = {"command": ["./rebuild"], "as": "rebuild the virtualenv", "exit_code": code}
            record(journal, "anna", only().id, "command", "./rebuild", more={**more, "duration_s": duration_s})
    code, said = panic()
    assert "rebuild the virtualenv: 120 s, done twice, failed once\n" in said
    assert "    backout do --as 'rebuild the virtualenv' -- ./rebuild\n" in said


def test_what_was_rehearsed_under_a_name_is_a_way_out_with_its_time(panic: Panic, tmp_path: Path) -> None:
    """Rehearsed in calm it is the best that there is: nobody has to guess whether two minutes are enough."""
    with (tmp_path / "backout.toml").open("a") as config:
        config.write('[commands.rollback]\nrun = "deploy --to previous"\n[commands.never]\nrun = "true"\n')
    known = {"environment": "production", "hosts": ["web1"], "digest": "sha256:0"}
    here = {"incident": "", "kind": "command", "text": "", "host": os.uname().nodename, "exit_code": 0}
    with bootstrap.journal() as journal:  # type: ignore[attr-defined]
        for command, duration_s in ((["deploy --to previous"], 2.04), (["./rebuild", "all"], 90.0)):
            body = {**known, "command": command, "rehearsed": {"duration_s": duration_s, "failed": None}}
            journal.append(at=time.time(), actor="ada", type="rehearsal", body=body)
            other = {**body, "environment": "staging", "rehearsed": {"duration_s": 7.0, "failed": None}}
            journal.append(at=time.time(), actor="ada", type="rehearsal", body=other)
        done = {**here, "command": ["./rebuild all"], "as": "rebuild", "duration_s": 118.0}
        journal.append(at=time.time(), actor="ada", type="entry", body=done)
    _, said = panic()
    assert "  rebuild: 118 s, done once, 90 s when rehearsed\n    backout do --as rebuild -- './rebuild all'\n" in said
    assert "  rollback: 2.0 s when rehearsed\n    backout run rollback\n" in said
    assert "never" not in said


def test_what_looked_like_this_before_is_told_with_what_helped(panic: Panic) -> None:
    """Notes are searched in vain against the clock; nobody should have to think of searching."""
    panic("site", "down,", "No module named pkg_resources")
    with bootstrap.journal() as journal:  # type: ignore[attr-defined]
        first = only().id
        more = {"command": ["./rebuild"], "as": "rebuild the virtualenv", "exit_code": 0, "duration_s": 118.0}
        record(journal, "anna", first, "command", "pip install setuptools==65", more=more)
        state(journal, "anna", first, "production", "resolved")
    _, told = document(panic, "ModuleNotFoundError: No module named 'pkg_resources'")
    assert [(one["id"], one["helped"]) for one in told["similar"]] == [(first, ["pip install setuptools==65"])]


ACTIONS = """\
## Actions
### A1 Refuse a change that moves setuptools across a major version
- owner: Anna
- proof: guard setuptools-stays
### A2 Take the pages down in an hour
- proof: accepted by Ben until 2026-12-31
"""
TRACEBACK = """\
Traceback (most recent call last):
  File "/srv/shop/app.py", line 1, in <module>
ModuleNotFoundError: No module named 'pkg_resources'"""


def test_what_said_the_same_is_marked_as_a_recurrence_with_what_was_to_keep_it_away(panic: Panic) -> None:
    """Whoever hears that it is the same again need not find out; and whether the guard was there is the first clue."""
    panic("site", "down")
    with bootstrap.journal() as journal:  # type: ignore[attr-defined]
        first = only().id
        record(journal, "anna", first, "note", TRACEBACK)
        state(journal, "anna", first, "production", "resolved")
        review = {"incident": first, "state": "closed", "text": ACTIONS, "base": 0}
        journal.append(at=1.0, actor="anna", type="review", body=review)
    code, said = panic("another word for it")
    assert (code, "RECURRENCE" in said) == (0, False)
    with bootstrap.journal() as journal:  # type: ignore[attr-defined]
        record(journal, "anna", incidents()[-1].id, "note", TRACEBACK.replace("line 1", "line 7"))
    _, told = document(panic)
    (row,) = [one for one in told["similar"] if "recurrence" in one]
    assert (row["id"], row["recurrence"]["signatures"]) == (
        first,
        ["ModuleNotFoundError: No module named 'pkg_resources'"],
    )
    assert [one["standing"] for one in row["recurrence"]["actions"]] == ["missing", "accepted"]
    _, said = panic()
    assert "RECURRENCE: it said the same then.\n    both said: ModuleNotFoundError" in said
    assert "    A1 guard setuptools-stays is missing: Refuse a change" in said
    assert "    A2 accepted by Ben until 2026-12-31: Take" in said
