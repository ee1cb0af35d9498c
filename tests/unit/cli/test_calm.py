"""`calm`, in this process: it is over when the checks or a person say so, and what is to be said is written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from backout import cli
from backout.config.find import load
from backout.flow import incidents
from backout.flow.calm import Asked, Calm, Closing, meant
from backout.model.downtime import Downtime
from backout.model.incident import Incident
from backout.render.letter import how_long, next_working_day
from backout.store.journal import Event
from backout.store.opening import journal_path
from backout.store.sqlite import SqliteJournal
from kit.cli import validate
from kit.incident import ID, Told

BEGIN = 1792888200.0
CONFIG = """
[environments.production]
hosts = ["local"]
[[environments.production.checks]]
name = "site"
run = "test ! -e {folder}/down || {{ echo 502 Bad Gateway; exit 1; }}"
within = "1s"
[[environments.production.checks]]
name = "reports"
run = "true"
within = "1s"
[audiences.client]
to = ["mailto:ops@client.example"]
checks = ["site"]
zone = "Europe/Berlin"
[audiences.analyst]
to = ["mailto:numbers@client.example"]
checks = ["reports"]
zone = "Asia/Kolkata"
[audiences.elsewhere]
to = ["mailto:ops@other.example"]
environments = ["staging"]
[environments.staging]
hosts = ["staging.invalid"]
"""
NO_CHECKS = """
[environments.production]
hosts = ["local"]
[audiences.client]
to = ["mailto:ops@client.example"]
"""
HERE = os.uname().nodename
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """An incident that is open, of which nothing else is known."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKOUT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    (tmp_path / "backout.toml").write_text(CONFIG.format(folder=tmp_path))
    one = Told(journal_path(os.environ), BEGIN)
    yield one
    one.journal.close()


@pytest.fixture
def told(opened: Told) -> Told:
    """One with a check of each audience that was red for a while."""
    one = opened
    one.check(BEGIN, "unhealthy", host=HERE)
    one.check(BEGIN + 60, "unhealthy", name="reports", host=HERE)
    one.check(BEGIN + 90, "healthy", name="reports", host=HERE)
    one.check(BEGIN + 600, "healthy", host=HERE)
    return one


@pytest.fixture
def calm(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `backout calm` here; gives exit code and all that it said."""

    def run(*words: str) -> tuple[int, str]:
        code = cli.run(["calm", *words])
        said = capsys.readouterr()
        return code, said.out if "--json" in words else said.out + said.err

    return run


def document(said: tuple[int, str]) -> Any:
    """Read the document, which keeps to its schema."""
    code, text = said
    found = json.loads(text)
    validate(found)
    assert code == 0
    return found


def incident(told: Told) -> Incident:
    """What is on record of it."""
    return incidents.read(told.journal)[ID]


def test_healthy_checks_resolve_it_and_each_audience_has_a_downtime_of_its_own(told: Told, calm: Run) -> None:
    """The letter tells a client how long *they* were down, in their own zone, not how long somebody was busy."""
    found = document(calm("--json"))
    one = incident(told)
    assert (found["by"], one.state, one.clock("mitigated")) == ("checks", "resolved", BEGIN + 600)
    assert [entry.body["result"] for entry in one.of_kind("check")][-2:] == ["healthy", "healthy"]
    assert {row["audience"]: row["seconds"] for row in found["downtime"]} == {None: 600, "client": 600, "analyst": 30}
    letters = {row["audience"]: row["plain"] for row in found["drafts"] if row["type"] == "letter"}
    assert "10 min, from 2026-10-25 02:30 (Europe/Berlin, UTC+02:00)" in letters["client"]
    assert "30 s, from 2026-10-25 06:01 (Asia/Kolkata, UTC+05:30)" in letters["analyst"]
    assert "Not known yet; we review on " in letters["client"]


def test_what_is_red_is_named_and_only_a_word_is_stronger(told: Told, calm: Run, tmp_path: Path) -> None:
    """Who says that it is over while a check is red is on record with that; a client is told so by a person."""
    (tmp_path / "down").touch()
    code, said = calm()
    assert (code, incident(told).state) == (3, "open")
    assert f"site on {HERE} is unhealthy" in said
    assert "--word" in said
    found = document(calm("--word", "the check is wrong, orders go through", "--json"))
    assert (found["by"], found["word"]) == ("word", "the check is wrong, orders go through")
    assert [row["result"] for row in found["checks"]] == ["unhealthy", "healthy"]
    assert incident(told).clock("mitigated") is None


def test_a_host_that_cannot_be_asked_is_no_healthy_one(told: Told, calm: Run, tmp_path: Path) -> None:
    """It may be the one that is down; the others' health does not speak for it."""
    text = CONFIG.format(folder=tmp_path)
    (tmp_path / "backout.toml").write_text(text.replace('hosts = ["local"]', 'hosts = ["local", "gone.invalid"]'))
    code, said = calm()
    assert (code, incident(told).state) == (3, "open")
    assert "gone.invalid could not be asked" in said
    assert document(calm("--word", "it was switched off", "--json"))["unreached"][0]["host"] == "gone.invalid"


def test_without_a_check_it_takes_a_word(told: Told, calm: Run, tmp_path: Path) -> None:
    """Silence is no health."""
    (tmp_path / "backout.toml").write_text(NO_CHECKS)
    code, said = calm()
    assert (code, incident(told).state) == (3, "open")
    assert "No check tells whether it is over" in said
    assert calm("--word", "looked at it")[0] == 0
    assert incident(told).state == "resolved"


def test_what_a_letter_lacks_is_named_and_calm_again_completes_it(told: Told, calm: Run) -> None:
    """Nobody is at a terminal at four in the morning to type a whole letter; what was said once is not asked again."""
    _, said = calm("--why", "one package moved")
    assert "Missing: lost, done. Say it with: backout calm --lost TEXT --done TEXT" in said
    found = document(calm("--lost", "none", "--done", "put it back", "--review", "2099-12-01", "--json"))
    letters = [row for row in found["drafts"] if row["type"] == "letter"]
    assert [row["missing"] for row in found["drafts"]] == [[]] * 4
    for part in ("one package moved", "put it back", "Data lost: none", "we review on 2099-12-01"):
        assert part in letters[0]["plain"]
    drafts = len(incident(told).of_kind("notice"))
    assert document(calm("--json"))["drafts"] == found["drafts"]
    assert len(incident(told).of_kind("notice")) == drafts
    assert "To send: backout tell, then backout tell --letter" in calm()[1]


def test_how_long_it_was_is_asked_for_where_no_check_was_seen_red(opened: Told, calm: Run) -> None:
    """What backed itself out was over before anybody asked: the client must not read that it was not down at all."""
    opened.check(BEGIN, "healthy", host=HERE)
    _, said = calm("--why", "one package moved", "--done", "put it back", "--lost", "none")
    clocks = f"backout note --incident {ID} --clock impact_started=TIME"
    assert f"Missing: how long. Say it with: {clocks}; backout calm" in " ".join(said.split())
    assert cli.run(["note", "--incident", ID, "--clock", "impact_started=2026-10-25 10:00 UTC"]) == 0
    assert "How long: " in calm()[1]


def test_a_draft_is_never_sent_by_itself(told: Told, calm: Run) -> None:
    """It waits for a person who read it: nothing is in the outbox, and no audience counts as told."""
    calm("--why", "w", "--done", "d", "--lost", "none")
    assert cli.run(["tell", "--retry"]) == 0
    assert [entry.body["targets"] for entry in incident(told).of_kind("notice")] == [[]] * 4
    assert incident(told).of_kind("delivery") == ()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--review", "2020-01-01"], "is over"),
        (["--review", "soon"], "is not a day such as"),
        (["--word", " "], "it is empty"),
        (["--incident", "nope"], "No incident is named 'nope'"),
        (["-e", "prodction"], "production"),
    ],
)
def test_what_cannot_be_meant_is_said_and_nothing_is_closed(told: Told, calm: Run, words: list[str], what: str) -> None:
    """Wrong usage is 2, and the incident stays open."""
    code, said = calm(*words)
    assert (code, incident(told).state) == (2, "open")
    assert what in said


def test_what_is_still_paused_is_listed_with_what_starts_it_again(told: Told, calm: Run) -> None:
    """A Puppet agent that nobody starts again is the next incident; to take back later changes with it would be one."""
    told.change(BEGIN + 100, "20261025-004000-bcd", "backout", "pause", "puppet.service", "apt-daily.timer")
    told.change(BEGIN + 200, "20261025-004100-bcd", "systemctl", "start", "apt-daily.timer")
    told.change(BEGIN + 300, "20261025-004200-bcd", "backout", "pause", "cron.service")
    rows = document(calm("--json"))["paused"]
    assert [(row["units"], row["start"]) for row in rows] == [
        (["puppet.service"], "backout run -- systemctl start puppet.service"),
        (["cron.service"], "backout back 20261025-004200-bcd"),
    ]


class KilledError(BaseException):
    """What a kill leaves no time to handle."""


class Dying(SqliteJournal):
    """A journal whose process dies just before it writes for the nth time."""

    left = 0

    def append(self, *, at: float, actor: str, type: str, body: Mapping[str, Any]) -> Event:
        """Write, or die."""
        if self.left == 0:
            raise KilledError
        self.left -= 1
        return super().append(at=at, actor=actor, type=type, body=body)


def closed(journal: SqliteJournal, folder: Path) -> list[Any]:
    """Close the incident as the command does; gives the drafts."""
    one = Calm(journal, load(str(folder / "backout.toml")), "ada", meant(journal, None, None), lambda: "x")
    if one.told.state == "open":
        one.resolve(Asked(({"host": HERE, "name": "site", "result": "healthy", "output": ""},)), "")
    return one.write(Closing(fields={"why": "w", "done": "d", "lost": "none"}), lambda: date(2026, 12, 1))


def test_whoever_is_killed_goes_on_where_the_record_ends(told: Told, tmp_path: Path) -> None:
    """At any of its writes: calm again ends with one resolution, one mitigation, and each draft once."""
    path = told.journal.path
    told.journal.close()
    whole = path.read_bytes()
    writes = 0
    while True:
        path.write_bytes(whole)
        dying = Dying(path)
        dying.left = writes
        try:
            drafts = closed(dying, tmp_path)
        except KilledError:
            dying.close()
        else:
            dying.close()
            break
        again = SqliteJournal(path)
        assert len(closed(again, tmp_path)) == 4
        one = incidents.read(again)[ID]
        assert (one.state, one.clocks["mitigated"], len(one.clocks["resolved"])) == ("resolved", (BEGIN + 600,), 1)
        assert len(one.of_kind("notice")) == 4
        again.close()
        writes += 1
    assert (writes, len(drafts)) == (6, 4)


def test_the_review_is_on_a_working_day() -> None:
    """Who promises a client a Saturday breaks the first promise after the incident."""
    days = [date(2026, 11, 26), date(2026, 11, 27), date(2026, 11, 28)]
    assert [next_working_day(day).isoformat() for day in days] == ["2026-11-27", "2026-11-30", "2026-11-30"]


def test_a_letter_says_how_often_it_was_down() -> None:
    """Twice five minutes is another story than ten; without any it says so."""
    down = Downtime(((BEGIN, BEGIN + 300), (BEGIN + 600, BEGIN + 900)), "checks")
    assert how_long(down).startswith("10 min in all, 2 times: from ")
    assert how_long(Downtime((), "checks")) == "Not at all: what you use kept working."
