"""What every journal promises (law 6: the record only grows)."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backout.model.chain import GENESIS, link_hash
from backout.store import Journal

from .conftest import OPEN_IN_PROCESS

WRITERS = 4
EVENTS_EACH = 40

WRITER = """
import sys
from pathlib import Path
address, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
{opening}
for number in range(count):
    journal.append(at=number, actor=name, type="note", body={{"text": f"{{name}} {{number}}"}})
    journal.learn([{{"format": 1, "host": "web1", "change": "c", "seq": number, "prev": "", "kind": "kept", "at": 0,
                    "body": {{}}}}])
"""


OPENER = """
import os, sys
from pathlib import Path
from backout.flow.incidents import declare_or_join
address = sys.argv[1]
{opening}
for line in sys.stdin:
    name = line.strip()
    new_id = lambda: f"{{os.getpid()}}-{{name}}"
    print(*declare_or_join(journal, "ada", new_id, name, "down", at=1000.0, severity=None), flush=True)
"""


def entry(seq: int, *, host: str = "web1", change: str = "c1", **body: Any) -> dict[str, Any]:
    """A ledger entry as a host tells it."""
    return {
        "format": 1,
        "host": host,
        "change": change,
        "seq": seq,
        "prev": "f" * 64,
        "kind": "prepared",
        "at": 1000.5 + seq,
        "body": body,
    }


def note(journal: Journal, text: str) -> None:
    """Record a note, the simplest event."""
    journal.append(at=0, actor="anna", type="note", body={"text": text})


def excerpts(journal: Journal, text: str) -> list[str]:
    """What a search shows."""
    return [hit.excerpt for hit in journal.search(text).hits]


def test_what_is_appended_is_read_back_by_whoever_opens_the_journal_next(opened: Callable[[], Journal]) -> None:
    """The record outlives the process that wrote it, to the last digit and the oddest byte."""
    body = {"text": "naïve 🦊 \udce9 \x00", "numbers": [1, 2.5, 1e300, None, True], "deep": {"b": {"a": ""}}}
    written = opened().append(at=1763900000.123456, actor="anna", type="note", body=body)
    assert list(opened().events()) == [written]
    assert (written.seq, written.at, written.actor, written.body) == (1, 1763900000.123456, "anna", body)


def test_every_event_carries_the_hash_of_the_one_before(journal: Journal) -> None:
    """Law 6: what was recorded cannot be changed unnoticed."""
    for number in range(3):
        note(journal, str(number))
    events = list(journal.events())
    assert [event.prev for event in events] == [GENESIS, *(link_hash(event._asdict()) for event in events[:-1])]
    journal.verify()


def test_events_can_be_followed_from_where_one_stopped(journal: Journal) -> None:
    """A timeline that is watched asks only for what is new."""
    for number in range(3):
        note(journal, str(number))
    assert [event.seq for event in journal.events(after=1)] == [2, 3]


def test_ledger_entries_are_learned_once_however_often_they_are_told(opened: Callable[[], Journal]) -> None:
    """Each command tells the whole ledger again; the record must not double."""
    entries = [entry(1, why="gunicorn"), entry(2), entry(1, change="c2"), entry(1, host="web2")]
    assert opened().learn(entries[:2]) == 2
    assert opened().learn(entries) == 2
    assert opened().learn(entries) == 0
    assert opened().entries() == entries
    assert opened().entries("c1") == [entries[0], entries[1], entries[3]]
    opened().verify()


def test_an_entry_told_twice_in_one_breath_is_learned_once(journal: Journal) -> None:
    """Two links to one host tell the same ledger."""
    assert journal.learn([entry(1), entry(1)]) == 1
    assert journal.entries() == [entry(1)]


def test_learning_is_all_or_nothing(journal: Journal) -> None:
    """A ledger that is half learned would look like a change that never ended."""
    broken = entry(2)
    del broken["body"]
    with pytest.raises(KeyError):
        journal.learn([entry(1), broken])
    assert journal.entries() == []
    assert journal.learn([entry(1)]) == 1


def test_a_teller_that_breaks_off_leaves_the_journal_as_it_was_and_usable(journal: Journal) -> None:
    """The connection to a host may end in the middle of its ledger."""

    def telling() -> Iterator[dict[str, Any]]:
        yield entry(1)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        journal.learn(telling())
    assert list(journal.events()) == []
    note(journal, "still here")
    journal.verify()


def test_four_writers_at_once_lose_nothing(kind: str, address: str, opened: Callable[[], Journal]) -> None:
    """Colleagues and cron jobs write at the same time; a lost event is a change that nobody knows of."""
    script = WRITER.format(opening=OPEN_IN_PROCESS[kind])
    writers = [
        subprocess.Popen([sys.executable, "-c", script, address, f"writer{number}", str(EVENTS_EACH)])
        for number in range(WRITERS)
    ]
    assert [writer.wait() for writer in writers] == [0] * WRITERS
    journal = opened()
    journal.verify()
    noted = [event.body["text"] for event in journal.events() if event.type == "note"]
    assert sorted(noted) == sorted(f"writer{w} {n}" for w in range(WRITERS) for n in range(EVENTS_EACH))
    assert [learned["seq"] for learned in journal.entries()] == sorted(range(EVENTS_EACH))


def test_of_two_who_open_an_incident_at_the_same_moment_one_joins(
    kind: str, address: str, opened: Callable[[], Journal]
) -> None:
    """An alarm script and a person are one incident: two of them would tell half of it each, and one stay open."""
    rounds, script = 100, OPENER.format(opening=OPEN_IN_PROCESS[kind])
    both = [
        subprocess.Popen([sys.executable, "-c", script, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for number in range(rounds):
        for one in both:
            assert one.stdin is not None
            one.stdin.write(b"environment-%d\n" % number)
            one.stdin.flush()
        told = [one.stdout.readline().split() for one in both if one.stdout is not None]
        assert told[0][0] == told[1][0], told
        assert sorted(joined for _, joined in told) == [b"False", b"True"]
    for one in both:
        one.communicate()
    journal = opened()
    journal.verify()
    assert len(list(journal.events(type="incident"))) == rounds


def test_a_search_finds_why_and_command_of_a_change(journal: Journal) -> None:
    """What was done about gunicorn last spring is asked with the client on the phone."""
    journal.learn(
        [entry(1, why="raise the gunicorn timeout", argv=["sed", "-i", "/srv/shop/gunicorn.conf.py"]), entry(2)]
    )
    for text in ("gunicorn timeout", "GUNICORN", "gunic", "gunicorn.conf.py", "web1", "c1"):
        assert [hit.event.body["seq"] for hit in journal.search(text).hits] == [1], text


def test_the_best_match_comes_first(journal: Journal) -> None:
    """Nobody reads the second page during an incident."""
    note(journal, "flask was mentioned among very many other words that have nothing to do with it at all")
    note(journal, "flask flask")
    assert excerpts(journal, "flask")[0] == "flask flask"
    assert len(journal.search("flask", limit=1).hits) == 1


def test_letters_with_and_without_accents_are_the_same(journal: Journal) -> None:
    """Notes are typed in a hurry."""
    note(journal, "Zürich is down")
    assert excerpts(journal, "zurich") == ["Zürich is down"]


def test_hashes_are_not_words(journal: Journal) -> None:
    """They would only ever be offered as what was probably meant."""
    journal.learn([entry(1, why="x", plan="a" * 64, digest="sha256:" + "b" * 64)])
    assert excerpts(journal, "aaaa") == excerpts(journal, "sha256") == []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gunicron", "gunicorn"),
        ("setuptols", "setuptools"),
        ("flsk pinned", "flask pinned"),
        ("FLAKS", "flask"),
        ("ugnicorn", "gunicorn"),
    ],
)
def test_a_misspelt_word_is_answered_with_the_one_that_was_meant(journal: Journal, typed: str, meant: str) -> None:
    """Under stress people mistype, and "nothing found" is believed."""
    note(journal, "setuptools moved, gunicorn did not start, flask was pinned")
    assert journal.search(typed).did_you_mean == meant
    assert journal.search(meant).did_you_mean is None
    assert journal.search(meant).hits


def test_a_word_that_is_like_no_other_is_not_replaced(journal: Journal) -> None:
    """An absurd suggestion costs more time than none."""
    note(journal, "gunicorn")
    assert journal.search("postgres") == ((), None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        '"',
        "*",
        "-",
        "_",
        "_ _",
        "AND",
        "NOT a",
        "a OR",
        "text:",
        "(",
        "^a",
        "\x00",
        "\udce9",
        "a\x00b",
        "NEAR(a b)",
    ],
)
def test_no_search_text_is_taken_for_syntax(journal: Journal, text: str) -> None:
    """What is pasted from a terminal is full of quotes and dashes."""
    note(journal, "unrelated")
    assert journal.search(text).hits == ()


def test_a_content_is_kept_once_and_given_by_its_hash(opened: Callable[[], Journal]) -> None:
    """Facts of many hosts and days are mostly the same: a look names what is there already."""
    one, other = opened(), opened()
    names = one.keep([b"packages", b"", b"packages"])
    assert names == [hashlib.sha256(content).hexdigest() for content in (b"packages", b"", b"packages")]
    assert other.keep([b"packages", b"files"])[0] == names[0]
    assert [one.content(name) for name in (*names[:2], "0" * 64)] == [b"packages", b"", None]


def test_only_events_of_the_kinds_that_are_asked_for_are_given(opened: Callable[[], Journal]) -> None:
    """A reminder is asked for at every command: it must not read ten thousand notes."""
    journal = opened()
    for kind in ("note", "notice", "delivery", "note"):
        journal.append(at=1, actor="ada", type="entry", body={"kind": kind})
    journal.append(at=1, actor="ada", type="incident", body={"id": "i1"})
    told = [event.body["kind"] for event in journal.events(type="entry", kinds=("notice", "delivery"))]
    assert told == ["notice", "delivery"]
    assert len([*journal.events()]) == 5


def test_one_sends_at_a_time_and_the_lock_goes_with_the_process(
    opened: Callable[[], Journal], address: str, kind: str
) -> None:
    """Two who send the same would send it twice; a lock that a dead process kept would let nobody send any more."""
    holder = f"""
import sys
from pathlib import Path
address = sys.argv[1]
{OPEN_IN_PROCESS[kind]}
with journal.sending(0) as alone:
    print(alone, flush=True)
    sys.stdin.read()
"""
    journal = opened()
    assert not journal.is_sending()
    words = [sys.executable, "-c", holder, address]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert journal.is_sending()
        with journal.sending(0) as alone:
            assert not alone
        other.kill()
    assert not journal.is_sending()
    with journal.sending(0) as alone:
        assert alone
        assert opened().is_sending()
