"""Laws 6 and 7 through the front door: a record that somebody tampered with, and what every command makes of it.

A command ends with an exit code of ours and a document of ours, and nothing outside the state folder is another
afterwards. The readers alone meet thousands of such records in tests/fuzz.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backout.model.chain import GENESIS, link_hash
from kit.cli import Backout, validate
from kit.picture import difference, picture

DEEP = b"[" * 50_000 + b"]" * 50_000
HUGE = b"9" * 5000
CODES = {0, 1, 2, 3, 5, 6, 7}
"""What a command may end with here: nobody interrupts it, and there are no checks to turn red."""
GC = ("gc", "--older-than", "0s", "--standing")
SHOW = ("show", "{kept}")


class Record:
    """A state folder with one change that stands and one that was taken back; `victim` lies outside of all."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.victim = folder / "victim"
        (self.victim / "sub").mkdir(parents=True)
        for name in ("precious", "sub/deep", "ledger", "lock", "plan.json"):
            (self.victim / name).write_text(f"{name} of somebody else\n")
        self.backout = Backout(folder)
        (self.backout.folder / "f").write_text("old\n")
        (self.backout.folder / "gone").write_text("gone\n")
        self.undone = self._run("echo other > f")
        assert self.backout("back").returncode == 0
        self.old = self.outside()
        self.kept = self._run("echo new > f; rm gone; mkdir d; echo x > d/x")
        self.new = self.outside()
        self._staged = self._of("state/stage/" + self.kept)
        shutil.copytree(self.state / "changes", folder / "saved/changes")
        shutil.copytree(folder / "xdg", folder / "saved/xdg")
        shutil.copy(self.state / "ledger", folder / "saved")

    def is_restored(self) -> bool:
        """Have the record as it was; False when more than that is another by now."""
        if any(path.is_symlink() or path.is_fifo() for path in self.state.rglob("*")):
            return False
        if self.outside() != self.new or self._of("state/stage/" + self.kept) != self._staged:
            return False
        for name, folder in (("changes", self.state), ("xdg", self.root)):
            shutil.rmtree(folder / name, ignore_errors=True)
            shutil.copytree(self.root / "saved" / name, folder / name)
        shutil.copy(self.root / "saved/ledger", self.state)
        return True

    def _run(self, command: str) -> str:
        done, code = self.backout.json("run", "--yes", "--network", "none", "--", command)
        assert code == 0, done
        return str(done["change"])

    def outside(self) -> dict[bytes, Any]:
        """Give the whole state of what is no state of backout's."""
        names = sorted({*os.listdir(self.root)} - {"state", "xdg", "saved"})
        return {**self._of("work"), **self._of("victim"), b".": names}

    def _of(self, part: str) -> dict[bytes, Any]:
        folder = self.root / part
        shown = picture(folder) if folder.is_dir() else {}
        return {os.path.join(os.fsencode(part), path): one for path, one in shown.items()}

    @property
    def state(self) -> Path:
        """Give the state folder."""
        return self.backout.state

    def kept_file(self, name: str, change: str = "") -> Path:
        """Give a file beside the ledger, of the change that stands."""
        return self.state / "changes" / (change or self.kept) / name

    def entries(self) -> list[dict[str, Any]]:
        """Read the ledger."""
        return [json.loads(line) for line in (self.state / "ledger").read_bytes().splitlines()]

    def write(self, entries: list[dict[str, Any]]) -> None:
        """Write a ledger whose chain is whole, whatever it says."""
        lines, prev = [], GENESIS
        for number, entry in enumerate(entries, 1):
            told = {**entry, "seq": number, "prev": prev}
            lines.append(json.dumps(told).encode())
            prev = link_hash(told)
        (self.state / "ledger").write_bytes(b"".join(line + b"\n" for line in lines))

    def write_plan(self, content: bytes) -> None:
        """Write the plan of the change that stands, with the hash of it in the ledger."""
        self.kept_file("plan.json").write_bytes(content)
        entries = self.entries()
        for entry in entries:
            if entry["change"] == self.kept and "plan" in entry["body"]:
                entry["body"]["plan"] = hashlib.sha256(content).hexdigest()
        self.write(entries)

    def forget_the_end(self) -> None:
        """Have the newest change look as one that a crash left half-way."""
        self.write([e for e in self.entries() if e["change"] != self.kept or e["kind"] == "prepared"])

    def tries(self, commands: tuple[tuple[str, ...], ...]) -> dict[str, int]:
        """Run commands one after another; gives how each ended. What is outside is all-old or all-new after each."""
        codes: dict[str, int] = {}
        for words in commands:
            argv = [word.format(kept=self.kept, undone=self.undone) for word in words]
            done = self.backout("--json", *argv)
            assert "Traceback" not in done.stdout + done.stderr, done.stderr
            assert done.returncode in CODES, done
            document = json.loads(done.stdout)
            validate(document)
            assert not done.returncode or document.get("next") or document["schema"] != "backout.error/1", document
            assert self.is_whole(), f"{argv}: {difference(self.outside(), self.new)}"
            codes[words[0]] = max(done.returncode, codes.get(words[0], 0))
        return codes

    def is_whole(self) -> bool:
        """Tell whether everything outside is as before the change, or as after it."""
        return self.outside() in (self.old, self.new)


Spoil = Callable[[Record], object]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Keep the last record, for the next test."""
    return []


@pytest.fixture
def record(records: list[Record], tmp_path: Path) -> Record:
    """Give a record to each test, to be spoilt: the last one's, where that can be had as it was."""
    if not records or not records[0].is_restored():
        records[:] = [Record(tmp_path)]
    return records[0]


def _plan(edit: Callable[[Record, dict[str, Any]], object]) -> Spoil:
    """Spoil the plan of the change that stands; the ledger carries the hash of what it is then."""

    def spoil(record: Record) -> None:
        plan = json.loads(record.kept_file("plan.json").read_bytes())
        edit(record, plan)
        record.write_plan(json.dumps(plan).encode())

    return spoil


def _step(**fields: str) -> Spoil:
    """Give every step of the plan other paths: `{victim}`, `{state}` and `{stage}` stand for these folders."""

    def edit(record: Record, plan: dict[str, Any]) -> None:
        for step in plan["steps"]:
            step.update({name: _placed(record, value) for name, value in fields.items()})

    return _plan(edit)


def _placed(record: Record, value: str) -> str:
    stage = record.state / "stage" / record.kept
    return value.format(victim=record.victim, state=record.state, stage=stage, undone=record.undone)


def _folders(*folders: str) -> Spoil:
    return _plan(lambda record, plan: plan.update(folders=[_placed(record, folder) for folder in folders]))


PLANS: dict[str, Spoil] = {
    "staged outside": _step(staged="{victim}/precious"),
    "staged by climbing": _step(staged="{stage}/../../../victim/precious"),
    "staged in the state folder": _step(staged="{state}/ledger"),
    "a path in the state folder": _step(path="{state}/ledger"),
    "a path that climbs": _step(path="{victim}/../victim/precious"),
    "a huge inode": _plan(lambda _, plan: [step.update(expect_inode=10**400) for step in plan["steps"]]),
    "a folder outside": _folders("{victim}"),
    "the root folder": _folders("/"),
    "the whole stage": _folders("{state}/stage"),
    "a folder by climbing": _folders("{stage}/../../../victim"),
    "deep": lambda record: record.write_plan(DEEP),
    "cut short": lambda record: record.write_plan(record.kept_file("plan.json").read_bytes()[:-9]),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_hostile_plan_is_told_as_damaged_by_what_needs_it(record: Record, name: str) -> None:
    """5 from `back`, and from `gc` that would remove its stages; the record is still to be read."""
    PLANS[name](record)
    assert record.tries((GC, ("back",))) == {"gc": 5, "back": 5}
    assert record.outside() == record.new


@pytest.mark.parametrize("name", ["staged outside", "a path in the state folder", "deep", "cut short"])
def test_a_hostile_plan_is_not_carried_out_by_recovery(record: Record, name: str) -> None:
    """It comes as root, unasked, with the next command: what is told is which change cannot be finished."""
    PLANS[name](record)
    record.forget_the_end()
    assert record.tries((("recover",), ("back",)))["recover"] == 5
    assert record.outside() == record.new


def test_a_plan_with_the_stage_of_another_change_takes_nothing_outside(record: Record) -> None:
    """What gc lets go then is backout's own: the other change cannot be taken back, and says so."""
    _folders("{state}/stage/{undone}")(record)
    record.tries((("gc", "--older-than", "0s"), ("back",), GC))


BESIDE: dict[str, tuple[str, bytes]] = {
    "effects deep": ("effects.json", DEEP),
    "effects of a number": ("effects.json", HUGE),
    "effects cut short": ("effects.json", b'{"schema": "backout.effects/1", "effects": ['),
    "raw no gzip": ("raw.json.gz", b"no gzip"),
    "raw cut short": ("raw.json.gz", gzip.compress(b"[]")[:-6]),
    "raw deep": ("raw.json.gz", gzip.compress(DEEP)),
    "raw with a path that climbs": ("raw.json.gz", gzip.compress(b'[["/../etc/passwd", null, null]]')),
}


@pytest.mark.parametrize("name", BESIDE)
def test_what_is_hostile_beside_a_plan_is_told_as_damaged(record: Record, name: str) -> None:
    """Only what needs it says so."""
    file, content = BESIDE[name]
    record.kept_file(file).write_bytes(content)
    needs = SHOW if file == "effects.json" else ("back",)
    assert record.tries((needs, ("log",))) == {needs[0]: 5, "log": 0}


def _entry(which: int, **fields: Any) -> Spoil:
    """Spoil a line of the ledger, in a chain that is whole."""

    def spoil(record: Record) -> None:
        entries = record.entries()
        entries[which].update(fields)
        record.write(entries)

    return spoil


def _body(which: int, **fields: Any) -> Spoil:
    def spoil(record: Record) -> None:
        entries = record.entries()
        entries[which]["body"].update(fields)
        record.write(entries)

    return spoil


def _bytes(edit: Callable[[bytes], bytes]) -> Spoil:
    def spoil(record: Record) -> None:
        ledger = record.state / "ledger"
        ledger.write_bytes(edit(ledger.read_bytes()))

    return spoil


LEDGERS: dict[str, tuple[Spoil, int]] = {
    "an id with slashes": (_entry(-1, change="../../victim"), 5),
    "a huge seq": (_bytes(lambda content: content.replace(b'"seq":1}', b'"seq":' + HUGE + b"}")), 5),
    "a newer format": (_entry(-1, format=99), 7),
    "a deep line": (_bytes(lambda content: content + DEEP + b"\n"), 5),
    "a broken chain": (_bytes(lambda content: content.split(b"\n", 1)[1]), 5),
    "a line cut short": (_bytes(lambda content: content + b'{"format":1,"host":"'), 0),
    "an end cut off": (_bytes(lambda content: content[:-1]), 0),
    "one that takes itself back": (lambda record: _body(-1, undoes=record.kept)(record), 0),
    "a ring of repetitions": (lambda record: _ring(record, "redoes"), 0),
    "a ring of back-outs": (lambda record: _ring(record, "undoes"), 0),
    "another change's plan": (_body(-3, plan="0" * 64), 0),
}


def _ring(record: Record, word: str) -> None:
    entries = record.entries()
    for entry in entries:
        entry["body"][word] = record.kept if entry["change"] == record.undone else record.undone
    record.write(entries)


@pytest.mark.parametrize("name", LEDGERS)
def test_a_hostile_ledger_is_read_or_told_as_damaged(record: Record, name: str) -> None:
    """`log` tells which; whatever it says, what is outside is all-old or all-new."""
    spoil, code = LEDGERS[name]
    spoil(record)
    shutil.rmtree(record.root / "xdg")  # a journal would mend it
    codes = record.tries((("log",), ("recover",), ("back",), GC, *([("doctor",)] if code else ())))
    assert (codes["log"], codes.get("doctor", 0)) == (code, 7 if code else 0)


def _instead(path: str, target: str) -> Spoil:
    """Put a link in the place of a part of the state folder."""

    def spoil(record: Record) -> None:
        part = Path(_placed(record, path).replace("ID", record.kept))
        part.rename(part.with_name(f"{part.name}.away"))
        part.symlink_to(_placed(record, target))

    return spoil


LINKS: dict[str, Spoil] = {
    "changes": _instead("{state}/changes", "{victim}"),
    "a change's folder": _instead("{state}/changes/ID", "{victim}"),
    "a plan": _instead("{state}/changes/ID/plan.json", "{victim}/plan.json"),
    "the stage": _instead("{state}/stage", "{victim}"),
    "a change's stage": _instead("{state}/stage/ID", "{victim}"),
    "a stage that is nobody's": lambda record: (record.state / "stage/orphan").symlink_to(record.victim),
    "a change that is nobody's": lambda record: (record.state / "changes/orphan").symlink_to(record.victim),
    "the ledger": _instead("{state}/ledger", "{victim}/ledger"),
    "the lock": _instead("{state}/lock", "{victim}/lock"),
    "a plan that is a pipe": lambda record: _pipe(record.kept_file("plan.json")),
    "a ledger that is a pipe": lambda record: _pipe(record.state / "ledger"),
}


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("name", LINKS)
def test_a_link_in_the_state_folder_leads_nowhere(record: Record, name: str) -> None:
    """Nothing is written or removed where it points to, and nobody waits for a pipe."""
    LINKS[name](record)
    before = picture(record.victim)
    record.tries((SHOW, GC, ("back",), ("run", "--yes", "--network", "none", "--", "echo new > f")))
    assert difference(picture(record.victim), before) == {}


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


JOURNALS: dict[str, Callable[[Path], object]] = {
    "no database": lambda journal: journal.write_bytes(b"no database" * 1000),
    "cut short": lambda journal: journal.write_bytes(journal.read_bytes()[:5000]),
    "another page": lambda journal: journal.write_bytes(journal.read_bytes()[:4096] + b"\xff" * 8192),
    "a folder": _folder,
}


@pytest.mark.parametrize("name", JOURNALS)
def test_a_hostile_journal_is_told_as_damaged(record: Record, name: str) -> None:
    """Before anything is changed: what could not be written down is not begun."""
    (journal,) = record.root.glob("xdg/backout/journal.db")
    for beside in record.root.glob("xdg/backout/journal.db-*"):
        beside.unlink()
    JOURNALS[name](journal)
    assert set(record.tries((("log",), ("back",))).values()) <= {1, 5}
    assert record.outside() == record.new


def test_a_state_folder_behind_a_link_is_used_by_its_true_path(record: Record) -> None:
    """A plan names its stage; what it names is found again whichever way the state folder is named."""
    link = record.root / "link"
    link.symlink_to(record.root)
    told, code = record.backout.json("back", environ={"BACKOUT_STATE": str(link / "state")})
    assert (code, record.outside()) == (0, {**record.old, b".": sorted([*record.old[b"."], "link"])}), told
    done, code = record.backout.json(
        *("run", "--yes", "--network", "none", "--", "echo new > f; rm gone; mkdir d; echo x > d/x"),
        environ={"BACKOUT_STATE": str(link / "state")},
    )
    assert code == 0, done
    link.unlink()
    assert record.backout("back").returncode == 0
    assert record.outside() == record.old
