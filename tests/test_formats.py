"""Every version of every format that was released can be read; what is newer is left alone, and says so (FORMATS.md).

The samples in tests/formats were written by the program; tests/formats/record.sh tells how.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from backout.errors import NotPossibleError, UsageError
from backout.flow.looked import facts as stored
from backout.flow.looked import keep_facts, looks
from backout.flow.search import similar
from backout.host.archive import Archive
from backout.host.facts.known import Known
from backout.host.ledger import Ledger
from backout.host.plan import pack_plan, unpack_plan
from backout.link.wire import Link
from backout.model import pieces
from backout.model.digest import canonical, digest
from backout.model.effect import effect_from
from backout.model.ledger import KEPT, REFUSED, UNDONE, fold
from backout.model.parts import read
from backout.model.step import Meta, Switch, Write
from backout.render.schemas import names, schema
from backout.store.journal import Event
from backout.store.sqlite import SqliteJournal

SAMPLES = Path(__file__).parent / "formats"
CONF = b"/srv/shop/gunicorn.conf.py"
NOT_RECORDED = {"backout.drill/1", "backout.init/1"}
"""Their documents are held against their schemas where the drill is played and init is run."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with the ledger and one change's archive as release 0.1.0 wrote them."""
    shutil.copy(SAMPLES / "ledger-1", tmp_path / "ledger")
    archive = tmp_path / "changes" / _applied()
    archive.mkdir(parents=True)
    for name, sample in (
        ("plan.json", "plan-1.json"),
        ("raw.json.gz", "raw-1.json.gz"),
        ("effects.json", "applied-1.json"),
    ):
        shutil.copy(SAMPLES / sample, archive / name)
    return tmp_path


def _applied() -> str:
    change: str = json.loads((SAMPLES / "applied-1.json").read_text())["change"]
    return change


def test_a_postmortem_of_version_1_is_found_with_what_helped(tmp_path: Path) -> None:
    """What was learned the hard way is still there after an upgrade."""
    event = json.loads((SAMPLES / "postmortem-1.event").read_text())
    with SqliteJournal(tmp_path / "journal.db") as journal:
        journal.append(at=event["at"], actor=event["actor"], type=event["type"], body=event["body"])
        (found,) = similar(journal, "ModuleNotFoundError: No module named 'pkg_resources'")
    assert (found.kind, found.title) == ("postmortem", "Shop down after pip upgraded setuptools")
    assert found.helped == ("The old virtualenv was moved back; setuptools is pinned in requirements.txt.",)


def test_a_ledger_of_format_1_tells_where_each_change_stands(state: Path) -> None:
    """The ledger is what makes a change of an older release reversible."""
    changes = fold(Ledger(bytes(state)).entries())
    assert [change.state for change in changes] == [REFUSED, KEPT, KEPT, UNDONE]
    assert changes[2].undoes == changes[1].id == changes[1].id
    assert changes[1].undone_by == changes[2].id


def test_a_newer_ledger_ends_with_7_and_names_the_release(state: Path) -> None:
    """An older backout must not append to a ledger that it does not understand."""
    newer = {
        "format": 2,
        "host": "web1",
        "change": "x",
        "seq": 10,
        "prev": "",
        "kind": "new",
        "at": 0,
        "body": {"release": "9.1"},
    }
    with (state / "ledger").open("ab") as file:
        file.write(canonical(newer) + b"\n")
    with pytest.raises(NotPossibleError, match="format 2") as caught:
        Ledger(bytes(state)).entries()
    assert caught.value.exit_code == 7
    assert "9.1" in caught.value.next


def test_a_plan_of_format_1_is_the_one_that_its_ledger_names(state: Path) -> None:
    """What undoes a change is the plan; its hash in the ledger tells that it is whole."""
    change = next(change for change in fold(Ledger(bytes(state)).entries()) if change.id == _applied())
    packed = (state / "changes" / change.id / "plan.json").read_bytes()
    assert hashlib.sha256(packed).hexdigest() == change.body["plan"]
    plan = unpack_plan(json.loads(packed))
    (step,) = plan.steps
    assert isinstance(step, Switch)
    assert (step.path, step.expect_inode is None, step.want_inode is None) == (CONF, False, False)


@pytest.mark.parametrize("name", ["plan-1.json", "plan-1-steps.json"])
def test_a_plan_of_format_1_is_read_whole(name: str) -> None:
    """A step that is read otherwise than it was written would put something else back."""
    packed = json.loads((SAMPLES / name).read_text())
    assert json.loads(b"".join(pieces.document(pack_plan(unpack_plan(packed)), "steps"))) == packed


def test_the_samples_hold_every_kind_of_step_and_more() -> None:
    """What no sample holds can be changed unseen. Only requests to services are missing, for want of a manager."""
    plan = unpack_plan(json.loads((SAMPLES / "plan-1-steps.json").read_text()))
    assert {type(step) for step in plan.steps} == {Switch, Write, Meta}
    assert plan.appends
    assert plan.relinks


def test_raw_effects_of_version_1_tell_both_sides(state: Path) -> None:
    """A back-out compares the live paths with the second of them."""
    raw = {effect.path: effect for effect in Archive(bytes(state), _applied()).raw()}
    before, after = raw[CONF].before, raw[CONF].after
    assert before is not None
    assert after is not None
    assert (before.type, before.size, after.size) == ("file", 49, 49)
    assert before.sha256 != after.sha256


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.name)
def test_a_document_of_version_1_is_what_its_schema_says(path: Path) -> None:
    """Programs of others read these; the schema is what they were promised."""
    document = json.loads(path.read_text())
    if "schema" in document:
        Draft202012Validator(schema(document["schema"])).validate(document)
    else:
        assert path.name.startswith("plan-1")


def test_there_is_a_sample_of_every_document() -> None:
    """A format without a sample is one that the next release can break unseen."""
    recorded = {json.loads(path.read_text()).get("schema") for path in SAMPLES.glob("*.json")}
    assert set(names()) - recorded == NOT_RECORDED


@pytest.mark.parametrize(
    "name", ["effects-1.json", "applied-1.json", "refused-1.json", "compared-1.json", "guarded-1.json"]
)
def test_the_digest_of_an_effects_document_is_still_computed_alike(name: str) -> None:
    """`--accept` with a digest that an older release printed must mean the same effects."""
    document = json.loads((SAMPLES / name).read_text())
    assert digest(effect_from(effect) for effect in document["effects"]) == document["digest"]


def test_a_journal_of_schema_1_is_whole_and_holds_the_ledger(tmp_path: Path) -> None:
    """What people must know outlives the release that recorded it."""
    shutil.copy(SAMPLES / "journal-1.db", tmp_path / "journal.db")
    with SqliteJournal(tmp_path / "journal.db") as journal:
        journal.verify()
        lines = (SAMPLES / "ledger-1").read_bytes().splitlines()
        assert [canonical(entry) for entry in journal.entries()] == lines
        assert journal.search("four workers for the sale").hits


def test_a_newer_journal_ends_with_7_and_names_the_release(tmp_path: Path) -> None:
    """An older backout must not write into tables that it does not know."""
    shutil.copy(SAMPLES / "journal-1.db", tmp_path / "journal.db")
    with closing(sqlite3.connect(tmp_path / "journal.db")) as database:
        database.execute("INSERT INTO migration VALUES (99, '9.1')")
        database.execute("PRAGMA user_version = 99")
        database.commit()
    with pytest.raises(NotPossibleError, match=r"9\.1") as caught:
        SqliteJournal(tmp_path / "journal.db")
    assert caught.value.exit_code == 7


def test_a_conversation_of_wire_1_is_understood() -> None:
    """What was recorded of a host half is spoken once more to the controller: replies, events and errors."""
    said: list[tuple[str, str, bytes]] = []
    command = ["sh", "-c", 'cat "$1"; cat >/dev/null', "sh", str(SAMPLES / "wire-1.answers")]
    process: Any = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    answers: list[Any] = []
    with Link(process, lambda *event: said.append(event)) as link:
        *requests, unknown = [json.loads(line) for line in (SAMPLES / "wire-1.requests").read_text().splitlines()]
        answers = [link.ask(request.pop("op"), **request) for request in requests]
        with pytest.raises(UsageError):
            link.ask(unknown["op"])
    hello, changes, after, show = answers
    assert (hello["release"], len(changes), after) == ("0.1.0", 5, 0)
    assert [effect["subject"] for effect in show["document"]["effects"]] == ["/srv/shop/gunicorn.conf.py"]
    assert said == [("progress", "after none: echo hello", b""), ("output", "stdout", b"hello\n")]


def test_what_was_known_of_files_in_format_1_is_still_known(tmp_path: Path) -> None:
    """A new release that hashed everything anew would be no fault; one that took a row for another would be."""
    (tmp_path / "known").mkdir()
    shutil.copy(SAMPLES / "known-1", tmp_path / "known" / "watch")
    rows = [json.loads(line) for line in (SAMPLES / "known-1").read_bytes().splitlines() if line.startswith(b"[")]
    assert [path for path, _, _ in rows] == [f"/srv/shop/{name}" for name in NAMES]
    with Known(bytes(tmp_path / "known"), "watch", 0) as known:
        for path, stamp, value in rows:
            names = ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
            status: Any = SimpleNamespace(**dict(zip(names, map(int, stamp.split(":")), strict=True)))
            assert known.recall(path, status) == value


NAMES = ("backout.toml", "shop.crt", "shop.ini")


def test_the_event_of_a_look_and_its_parts_are_read(tmp_path: Path) -> None:
    """Since when two environments differ is answered from looks that older releases stored."""
    event = Event(**json.loads((SAMPLES / "look-1.event").read_text()))
    facts = read((SAMPLES / "look-1.part").read_bytes())
    with SqliteJournal(tmp_path / "journal.db") as journal:
        body = {**event.body, "parts": keep_facts(journal, facts)}
        journal.append(at=event.at, actor=event.actor, type=event.type, body=body)
        (look,) = looks(journal)
        assert (look.host, look.environment, look.body["files"]["known"]) == ("local", "production", 0)
        assert list(stored(journal, look)) == facts
    assert "file" in {fact.kind for fact in facts}


def test_the_ledger_sample_is_the_one_that_was_chained() -> None:
    """A sample that somebody mended by hand would no longer show what was released."""
    prev = "0" * 64
    for line in (SAMPLES / "ledger-1").read_bytes().splitlines():
        assert json.loads(line)["prev"] == prev
        prev = hashlib.sha256(line).hexdigest()
