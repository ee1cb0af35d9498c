"""Laws 6 and 7 against a record that somebody tampered with: it is read, or told as damaged; never a traceback."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.errors import BackoutError
from backout.host import orders, requests, serve
from backout.host.acting import Acting
from backout.host.archive import Archive
from backout.host.gc import collect
from backout.host.ledger import Ledger
from backout.host.mend import mend
from backout.host.plan import pack_plan, undo_plan, unpack_plan
from backout.link.wire import Link
from backout.model import pieces, shape
from backout.model.chain import GENESIS, link_hash
from backout.model.digest import digest
from backout.model.effect import effect_from
from backout.model.ledger import ENTRY, fold
from backout.render.report import Wish, report
from backout.render.screen import Screen
from backout.store.sqlite import SqliteJournal
from kit.hostile import ANY, dumped, edited, hunted, mutated

SAMPLES = Path(__file__).parents[1] / "formats"
LINES = tuple((SAMPLES / "ledger-1").read_bytes().splitlines())
ENTRIES = [json.loads(line) for line in LINES]
CHANGE = "20261124-164134-bwf"
PLANS = tuple(json.loads((SAMPLES / name).read_bytes()) for name in ("plan-1.json", "plan-1-steps.json"))
RAW = json.loads(gzip.decompress((SAMPLES / "raw-1.json.gz").read_bytes()))
DOCUMENTS = tuple(json.loads((SAMPLES / f"{name}-1.json").read_bytes()) for name in ("effects", "applied", "refused"))


def _folder() -> contextlib.AbstractContextManager[str]:
    return tempfile.TemporaryDirectory(dir="/dev/shm")


def chained(entries: Any) -> bytes:
    """Write entries as a ledger whose chain is whole, so that a reader gets to what they say."""
    lines, prev = [], GENESIS
    for number, entry in enumerate(entries if isinstance(entries, list) else [entries], 1):
        told = entry
        if isinstance(entry, dict):
            told = {**entry, "prev": prev, **({"seq": number} if "seq" in entry else {})}
        lines.append(dumped(told))
        with contextlib.suppress(ValueError, RecursionError):
            prev = link_hash(shape.load(lines[-1]))
    return b"\n".join(lines) + b"\n"


def _read_ledger(content: bytes) -> None:
    with _folder() as folder:
        (Path(folder) / "ledger").write_bytes(content)
        ledger = Ledger(folder.encode())
        try:
            changes = fold(ledger.entries())
        except BackoutError as error:
            assert error.next
            assert folder in error.what or "format" in error.what
        else:
            assert all(shape.name(change.id) and shape.number(change.at) for change in changes)
        with contextlib.suppress(BackoutError):
            collect(ledger, 0, standing=True, dry_run=True)
        with contextlib.suppress(BackoutError):
            mend(ledger, ENTRIES)


@hunted(150)
@given(mutated((b"\n".join(LINES) + b"\n",)))
def test_a_ledger_of_other_bytes_is_read_or_told_as_damaged(content: bytes) -> None:
    """A disk that rots, an editor, a copy cut short."""
    _read_ledger(content)


@hunted(250)
@given(edited((ENTRIES,)))
def test_a_ledger_of_other_values_is_read_or_told_as_damaged(entries: Any) -> None:
    """Whoever writes the file can write a whole chain: the hashes fit, and the values are theirs."""
    _read_ledger(chained(entries))


@hunted(80)
@given(st.lists(ANY | edited(tuple(ENTRIES)), max_size=3))
def test_copies_of_a_ledger_that_are_none_mend_nothing(copies: list[Any]) -> None:
    """A journal is a user's file: what it holds is no reason to fall over, nor to believe it."""
    with _folder() as folder:
        (Path(folder) / "changes/x").mkdir(parents=True)
        with pytest.raises(BackoutError):
            mend(Ledger(folder.encode()), copies)


def _archived(name: str, content: bytes, read: Callable[[Archive], Any]) -> Any:
    with _folder() as folder:
        place = Path(folder) / "changes" / CHANGE
        place.mkdir(parents=True)
        (place / name).write_bytes(content.replace(b"/var/lib/backout-sample", folder.encode()))
        try:
            return read(Archive(folder.encode(), CHANGE))
        except BackoutError as error:
            assert error.next
            return None


def _read_plan(content: bytes) -> None:
    found = _archived("plan.json", content, lambda archive: archive.plan())
    if found is not None:
        packed = b"".join(pieces.document(pack_plan(found), "steps"))
        assert unpack_plan(json.loads(packed)) == found
        undo_plan(undo_plan(found))
        for folder in found.folders:
            assert b".." not in folder.split(b"/")
            assert b"/stage/" in folder or b"/.backout" in folder


@hunted(250)
@given(edited(PLANS).map(dumped) | mutated(tuple(map(dumped, PLANS))))
def test_a_plan_of_other_values_is_read_or_told_as_damaged(content: bytes) -> None:
    """What is read names no place outside a stage to switch with, or to remove."""
    _read_plan(content)


@hunted(120)
@given(edited((RAW,)).map(dumped).map(gzip.compress) | mutated(((SAMPLES / "raw-1.json.gz").read_bytes(),)))
def test_raw_effects_of_other_values_are_read_or_told_as_damaged(content: bytes) -> None:
    """A back-out compares with them; what is no state compares with nothing."""
    _archived("raw.json.gz", content, lambda archive: archive.raw())


@hunted(150)
@given(edited(DOCUMENTS).map(dumped) | mutated(tuple(map(dumped, DOCUMENTS))))
def test_an_effects_document_of_other_values_is_read_or_told_as_damaged(content: bytes) -> None:
    """`run --change` judges what it reads there."""
    found = _archived("effects.json", content, lambda archive: archive.document())
    if found is not None:
        digest(effect_from(effect) for effect in found["effects"])
        for wish in (Wish(), Wish(full=True, noise=True)):
            drawn = report(found, Screen(), wish)
            assert drawn.replace("\n", "") == Screen().visible(drawn.replace("\n", ""))


@pytest.mark.parametrize("name", ["../../x", "/etc", "..", "", "a/b", "a\0b", ".hidden"])
def test_a_change_whose_name_is_a_path_is_none(name: str) -> None:
    """Its folder is named for it: law 7, the line is told, not followed."""
    assert not ENTRY({**ENTRIES[0], "change": name})


@pytest.mark.parametrize(
    "place",
    ["/etc", "/var/lib/backout-sample", "/var/lib/backout-sample/stage", "/srv/.backout", "/srv/stage/x", "/"],
)
def test_a_plan_whose_stage_is_none_is_damaged(place: str) -> None:
    """`gc` removes stages: one that is /etc must not even be looked for."""
    packed = dumped({**PLANS[0], "folders": [place]})
    assert _archived("plan.json", packed, lambda archive: archive.plan()) is None
    step = {**PLANS[0]["steps"][0], "staged": place + "/passwd"}
    packed = dumped({**PLANS[0], "steps": [step]})
    if not place.endswith(("/stage", "/.backout")):  # in these it is a change's folder
        assert _archived("plan.json", packed, lambda archive: archive.plan()) is None


def test_a_plan_that_changes_the_state_folder_is_damaged() -> None:
    """No view shows it, so no rehearsal can have changed it."""
    step = {**PLANS[0]["steps"][0], "path": "/var/lib/backout-sample/ledger"}
    assert _archived("plan.json", dumped({**PLANS[0], "steps": [step]}), lambda archive: archive.plan()) is None


# ---------------------------------------------------------------- the journal


def _read_journal(path: Path) -> None:
    try:
        with SqliteJournal(path) as journal:
            for read in (
                lambda: list(journal.events()),
                journal.entries,
                lambda: journal.search("sale"),
                lambda: journal.search("sael"),
                journal.verify,
                lambda: journal.learn(ENTRIES),
                lambda: journal.append(at=0, actor="a", type="t", body={}),
            ):
                with contextlib.suppress(BackoutError):
                    read()
    except BackoutError as error:
        assert str(path) in error.what


@hunted(100)
@given(mutated(((SAMPLES / "journal-1.db").read_bytes(),)))
def test_a_journal_of_other_bytes_is_read_or_told_as_damaged(content: bytes) -> None:
    """Any page of the database may be another one, or not be there."""
    with _folder() as folder:
        path = Path(folder) / "journal.db"
        path.write_bytes(content)
        _read_journal(path)


COLUMNS = ("seq", "prev", "at", "recorded_at", "actor", "type", "body")
VALUES = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(st.characters(codec="utf-8"), max_size=20),
    st.binary(max_size=8), st.sampled_from([b"\xff\xfe", "{", "[]", "null", "1", "[" * 3000, '{"host": 1}', "1e999"]),
)  # fmt: skip


@hunted(100)
@given(st.sampled_from(COLUMNS), VALUES)
def test_a_journal_with_other_values_in_its_rows_is_read_or_told_as_damaged(column: str, value: Any) -> None:
    """SQLite keeps what it is given; its own checks can be turned off by whoever may write the file."""
    with _folder() as folder:
        path = Path(folder) / "journal.db"
        shutil.copy(SAMPLES / "journal-1.db", path)
        with contextlib.closing(sqlite3.connect(path)) as database, contextlib.suppress(sqlite3.Error, OverflowError):
            database.execute("PRAGMA writable_schema = ON")
            database.execute("UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '')")
            database.execute("DROP TRIGGER event_stays")
            database.commit()
        with contextlib.closing(sqlite3.connect(path)) as database, contextlib.suppress(sqlite3.Error, OverflowError):
            database.execute(f"UPDATE event SET {column} = ? WHERE seq = 3", (value,))
            database.commit()
        _read_journal(path)


@pytest.mark.parametrize("statement", [
    *(f"DROP TABLE {table}" for table in ("migration", "event", "learned", "word", "vocabulary")),
    "PRAGMA user_version = 0", "PRAGMA user_version = -5", "PRAGMA user_version = 99",
    "DELETE FROM migration; PRAGMA user_version = 99", "ALTER TABLE event DROP COLUMN actor", "DELETE FROM learned",
])  # fmt: skip
def test_a_journal_of_another_schema_is_told_as_such(tmp_path: Path, statement: str) -> None:
    """A table that is missing, a version that is none."""
    path = tmp_path / "journal.db"
    shutil.copy(SAMPLES / "journal-1.db", path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(statement)
    _read_journal(path)


# ---------------------------------------------------------------- the wire

REQUESTS = (
    {"op": "rehearse", "change": "x", "argv": ["true"], "cwd": "/", "environ": {"A": "b"}, "checks": []},
    {"op": "take_back", "change": CHANGE, "new": "x", "body": ENTRIES[4]["body"], "edits": "stop"},
    {"op": "apply", "change": "x", "body": ENTRIES[1]["body"], "document": {}},
    {"op": "gc", "older_than_s": 1, "standing": False, "dry_run": True},
    {"op": "mend", "copies": ENTRIES[:2]},
    {"op": "entries", "after": 2},
    {"op": "show", "change": CHANGE},
    {"op": "hello"},
)
UNDONE = ("rehearse", "after", "check", "pause", "doctor", "enforcers", "recover")
"""What a request that fits would truly do; here it is enough that it fits."""


@hunted(250)
@given(edited(REQUESTS).map(dumped) | mutated(tuple(map(dumped, REQUESTS))))
def test_a_hostile_request_is_answered(line: bytes) -> None:
    """Whoever speaks to a host half gets a reply or an error document, whatever was said."""
    with _folder() as folder:
        host = serve.Host(lambda _: None, folder.encode() + b"/state")
        for operation in UNDONE:
            setattr(host, operation, lambda **_: None)
        answer = serve.answer(host, line)
        assert answer.keys() & {"reply", "error"}
        json.dumps(answer)


def test_every_operation_is_a_method_of_the_host_half() -> None:
    """The table of arguments is what may be asked; a name in it that nothing answers would be a traceback."""
    arguments = [*requests.ARGUMENTS, *orders.ARGUMENTS]
    assert len(arguments) == len(set(arguments))
    assert all(hasattr(serve.Host, operation) != hasattr(Acting, operation) for operation in arguments)


class _Speaker:
    """A host half that says what it is given and hears nothing."""

    def __init__(self, said: bytes) -> None:
        self.stdin, self.stdout = io.BytesIO(), io.BytesIO(said)

    def wait(self) -> int:
        """Give its exit code."""
        return 0

    def kill(self) -> None:
        """There is nobody."""

    def send_signal(self, number: int) -> None:
        """Hear nothing."""


ANSWERS = tuple(json.loads(line) for line in (SAMPLES / "wire-1.answers").read_bytes().splitlines())


@hunted(250)
@given(
    st.lists(edited(ANSWERS), max_size=4).map(lambda said: b"\n".join(map(dumped, said)) + b"\n")
    | mutated(((SAMPLES / "wire-1.answers").read_bytes(),))
)
def test_a_hostile_answer_is_an_answer_or_an_error(said: bytes) -> None:
    """A host half that was replaced, or speaks over a line that adds to it."""
    greeting = b"Welcome!\n" + dumped({"sentinel": "backout.wire/1"}) + b"\n"
    link = Link(_Speaker(greeting + said), lambda *_: None)
    for _ in range(3):
        with contextlib.suppress(BackoutError):
            link.ask("hello")
    with contextlib.suppress(BackoutError):
        Link(_Speaker(said))


def test_a_gigantic_line_is_read(tmp_path: Path) -> None:
    """A document of a great change is one line, too."""
    said = dumped({"sentinel": "backout.wire/1"}) + b"\n" + dumped({"reply": "A" * (32 << 20)}) + b"\n"
    assert len(Link(_Speaker(said)).ask("hello")) == 32 << 20
    host = serve.Host(lambda _: None, bytes(tmp_path))
    assert "error" in serve.answer(host, dumped({"op": "A" * (32 << 20)}))
