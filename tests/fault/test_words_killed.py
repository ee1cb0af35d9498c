"""`note`, `tell` and `calm`, killed by the kernel as they write and as they send: nothing is lost, or said twice."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backout import cli
from backout.flow import incidents
from backout.flow.tell import standing_deliveries
from backout.model.incident import Incident
from backout.store.opening import journal_path
from backout.store.sqlite import SqliteJournal
from kit.cli import Backout
from kit.incident import ID, Told
from kit.mailserver import post
from kit.terminal import Terminal

BEGIN = 1792888200.0
CONFIG = """
[environments.production]
hosts = ["local"]
checks = [{{ name = "site", run = "true", within = "1s" }}]
[audiences.client]
to = ["mailto:ops@client.example", "mailto:boss@client.example"]
[mail]
server = "{mail}"
from = "ops@us.example"
tls = "none"
"""
KILLED, WHOLE = 9, 0
SAID = ("--why", "one package moved", "--done", "put it back", "--lost", "none")


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """Give what makes a fresh record of an incident whose check was red, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKOUT_STATE", str(tmp_path / "state"))
    made = 0

    def fresh() -> Path:
        nonlocal made
        made += 1
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / f"xdg{made}"))
        path = journal_path(os.environ)
        told = Told(path, BEGIN)
        told.check(BEGIN, "unhealthy", host=os.uname().nodename)
        told.journal.close()
        return path

    return fresh


def killed(call: str, number: int, *words: str) -> int:
    """Run `backout` in a process of its own, which the kernel kills at its nth call; gives how it ended.

    It is forked, for a sweep has many; strace(1) sends the signal before the call does anything.
    """
    waits, goes = os.pipe()
    child = os.fork()
    if not child:
        nothing = os.open(os.devnull, os.O_RDWR)
        for number_ in range(3):
            os.dup2(nothing, number_)
        os.read(waits, 1)
        code = 1
        try:
            code = cli.run([*words])
        finally:
            os._exit(code)
    inject = f"inject={call}:signal=SIGKILL:when={number}"
    line = ["strace", "-o", os.devnull, "-e", f"trace={call}", "-e", inject, "-p", str(child)]
    with subprocess.Popen(line, stderr=subprocess.PIPE) as tracer:
        assert tracer.stderr is not None
        assert b"attached" in tracer.stderr.readline()
        os.write(goes, b"1")
        _, status = os.waitpid(child, 0)
    os.close(waits)
    os.close(goes)
    return os.waitstatus_to_exitcode(status)


def sweep(call: str, step: int, fresh: Callable[[], Path], *words: str) -> Iterator[tuple[Path, int]]:
    """Kill it at every so manyeth call, each time with a fresh record, until one run ends whole; give each end."""
    number, code = 1, -KILLED
    while code == -KILLED:
        path = fresh()
        code = killed(call, number, *words)
        yield path, code
        number += step
    assert number > 2 * step, f"{words} made no {call}"


def known(path: Path) -> Incident:
    """Read the incident of a record that is whole."""
    with SqliteJournal(path) as opened:
        opened.verify()
        return incidents.read(opened)[ID]


@pytest.mark.parametrize(("call", "step"), [("fdatasync", 2), ("pwrite64", 29)])
def test_calm_killed_at_its_writes_goes_on_where_the_record_ends(
    journal: Callable[[], Path], tmp_path: Path, call: str, step: int
) -> None:
    """Open or resolved, never half; once more, it is resolved once, mitigated once, and each draft is there once."""
    (tmp_path / "backout.toml").write_text(CONFIG.format(mail="127.0.0.1:9"))
    states = Counter[str]()
    for path, code in sweep(call, step, journal, "calm", "--quiet", *SAID):
        before = known(path)
        states[before.state] += code != WHOLE
        assert (before.state == "open") == (before.clock("resolved") is None)
        assert cli.run(["calm", "--quiet", *SAID]) == WHOLE
        one = known(path)
        assert (one.state, len(one.clocks["mitigated"]), len(one.clocks["resolved"])) == ("resolved", 1, 1)
        drafts = one.of_kind("notice")
        assert [entry.body["type"] for entry in drafts] == ["resolved", "letter"]
        assert drafts[1].body["fields"]["why"] == "one package moved"
    assert states["open"] > 0 < states["resolved"]


@pytest.mark.parametrize(("call", "step"), [("fdatasync", 1), ("sendto", 1)])
def test_tell_killed_as_it_records_and_sends_says_nothing_twice(
    journal: Callable[[], Path], tmp_path: Path, call: str, step: int
) -> None:
    """At most once at each target, whatever is retried; who may have it is on record as unknown, for a person."""
    states = Counter[str]()
    with post() as server:
        (tmp_path / "backout.toml").write_text(CONFIG.format(mail=server.address))
        for path, _ in sweep(call, step, journal, "tell", "--yes", "--quiet"):
            assert cli.run(["tell", "--retry", "--quiet"]) in (0, 5)
            assert cli.run(["tell", "--retry", "--quiet"]) in (0, 5)
            received = Counter(to for to, _ in server.mails)
            server.mails.clear()
            assert set(received.values()) <= {1}
            with SqliteJournal(path) as opened:
                places = standing_deliveries(opened, ID).values()
            for one in places:
                assert one.state in ("sent", "unknown")
                assert received[one.target.removeprefix("mailto:")] == 1 or one.state == "unknown"
            states.update(one.state for one in places)
            known(path)
    assert states["sent"] > 0 < states["unknown"]


@pytest.mark.parametrize(("call", "step"), [("fdatasync", 1), ("pwrite64", 5)])
def test_note_killed_at_its_writes_is_kept_whole_or_not_at_all(
    journal: Callable[[], Path], call: str, step: int
) -> None:
    """What it said to have kept is there; the next note follows, whatever was cut off before it."""
    whole = 0
    words = ("note", "--severity", "2", "--clock", "detected", "the pool is empty")
    for path, code in sweep(call, step, journal, *words):
        assert cli.run(["note", "--quiet", "and now it is not"]) == WHOLE
        one = known(path)
        texts = [entry.text for entry in one.of_kind("note")]
        assert texts in (["and now it is not"], ["the pool is empty", "and now it is not"])
        if code == WHOLE:
            assert (one.severity, len(one.clocks["detected"]), len(texts)) == (2, 1, 2)
            whole += 1
    assert whole == 1


@pytest.fixture
def backout(tmp_path: Path) -> Backout:
    """Give the command line, with an incident and somebody to be told of it."""
    one = Backout(tmp_path)
    (one.folder / "backout.toml").write_text(CONFIG.format(mail="127.0.0.1:9"))
    Told(journal_path(one.environ), BEGIN).journal.close()
    return one


def at_question(backout: Backout, question: str, *words: str, answers: tuple[str, ...] = ()) -> Terminal:
    """Give a window in which a question is asked, after some answers to those before."""
    window = Terminal(backout.argv(*words), backout.folder, backout.environ)
    for answer in answers:
        window.until(r"\? ")
        window.type(f"{answer}\n")
    window.until(question)
    return window


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_what_was_answered_to_calm_is_kept_when_it_ends_at_the_next_question(
    backout: Backout, how: signal.Signals, code: int
) -> None:
    """Who typed why it happened at four in the morning does not type it twice."""
    window = at_question(backout, "What was done", "calm", "--word", "seen", answers=("one package moved",))
    os.kill(window.pid, how)
    assert window.end() == code
    drafts = backout.json("calm")[0]["drafts"]
    assert [row["missing"] for row in drafts] == [["lost"], ["how_long", "done", "lost"]]
    assert "Why: one package moved" in drafts[1]["plain"]


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_what_was_answered_to_tell_is_offered_again_and_was_sent_to_nobody(
    backout: Backout, how: signal.Signals, code: int
) -> None:
    """What was typed is kept, and goes out with a yes alone."""
    with post() as server:
        (backout.folder / "backout.toml").write_text(CONFIG.format(mail=server.address))
        assert backout("tell", "--yes").returncode == 0
        server.mails.clear()
        window = at_question(backout, "How far", "tell", answers=("it is the pool",))
        os.kill(window.pid, how)
        assert window.end() == code
        assert backout("tell", "--yes").returncode == 3
        window = at_question(backout, r"What changed .* \[it is the pool\] ", "tell")
        for answer, asks in (("", "How far"), ("larger now", r"Send these 2\? \[y/N\] ")):
            window.says(answer, asks)
        assert server.mails == []
        window.type("y\n")
        assert window.end() == 0
    bodies = [mail.get_body(("plain",)) for _, mail in server.mails]
    assert ["it is the pool" in str(body) and "larger now" in str(body) for body in bodies] == [True] * 2
