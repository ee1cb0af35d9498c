"""Every overlay case of tests/cases, through the command line: rehearsed, run, compared with a bare run, taken back.

A case is a folder of shell scripts and expectations; tests/cases/README.md says how to add one, and which row of the
list of traps each of them answers.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kit.cli import Backout
from kit.picture import difference, picture, walk
from kit.trial import recorded, seen

TESTS = Path(__file__).parents[1]
CASES = TESTS / "cases"
NAMES = sorted(path.parent.name for path in CASES.glob("*/expect.json"))
ABOUT_FILES = {f"A{n}" for n in (1, 2, 3, 4, 5, 15)} | {f"B{n}" for n in range(1, 10)} | {f"C{n}" for n in range(1, 11)}
"""The rows of the list of traps that are about files, their promotion and their undoing."""
OLD_NS = 1_577_836_800_000_000_000
"""2020-01-01: every path of a case is that old before its change, so that a time made now is told from one kept."""


class Case(NamedTuple):
    """One case's folder and what it expects."""

    folder: Path
    expect: dict[str, Any]

    def script(self, name: str) -> list[str]:
        """Give the command that runs one of its scripts."""
        return ["sh", str(self.folder / name)]

    def differs(self, path: bytes) -> list[str]:
        """Name the attributes that may differ from a bare run at a path, for the reason that the case gives."""
        return [str(word) for word in self.expect.get("differs", {}).get(os.fsdecode(path), [])]


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Sessions that a case's scripts started processes in; these are ended with the test."""
    sessions: list[subprocess.Popen[bytes]] = []
    yield sessions
    for session in sessions:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(session.pid, signal.SIGKILL)


@pytest.fixture
def begun(name: str, tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> Iterator[tuple[Case, Backout, Path]]:
    """A case, and two folders as they are before its change: the one that backout works in, and a bare one."""
    case = Case(CASES / name, json.loads((CASES / name / "expect.json").read_text()))
    backout, bare = Backout(tmp_path), tmp_path / "bare"
    bare.mkdir()
    try:
        for folder in (backout.folder, bare):
            assert script(case, "before.sh", folder, started) == 0
            age(folder)
        yield case, backout, bare
    finally:
        if (case.folder / "after.sh").exists():
            for folder in (backout.folder, bare):
                script(case, "after.sh", folder, started)


@pytest.mark.parametrize("name", NAMES)
def test_a_case_is_rehearsed_applied_and_taken_back_exactly(
    begun: tuple[Case, Backout, Path], started: list[subprocess.Popen[bytes]]
) -> None:
    """Laws 1 to 4: nothing changes in rehearsal, the bare run's bits are applied, and what was there comes back."""
    case, backout, bare = begun
    code = script(case, "change.sh", bare, started)
    assert code == case.expect.get("bare_exit", case.expect.get("exit", 0))
    through_backout(case, backout, picture(bare), code)


@pytest.mark.parametrize("name", NAMES)
def test_a_case_is_composed_with_all_its_atoms_and_with_none(
    begun: tuple[Case, Backout, Path], started: list[subprocess.Popen[bytes]]
) -> None:
    """What is tried is the change, exactly, or the host without it, whatever became of it; and the host stays as it is.

    Names of one file are left out: those that a change does not touch show what is live, which the limits say.
    """
    case, backout, bare = begun
    before = picture(backout.folder)
    script(case, "change.sh", bare, started)
    backout("run", "--yes", "--network", "none", "--", *case.script("change.sh"))
    composed(case, backout, before, picture(bare))
    if (backout.state / "ledger").exists() and backout("back").returncode == 0:
        composed(case, backout, before, picture(bare))


def composed(case: Case, backout: Backout, before: dict[bytes, Any], bare: dict[bytes, Any]) -> None:
    """Compare the views of the first change with all of its atoms and with none with both trees."""
    if not (backout.state / "ledger").exists():
        return  # nothing was different, so that there is no change
    live = picture(backout.folder)
    change = recorded(backout.state, newest=False)
    kept = {os.fsencode(path) for path in case.expect.get("kept", ())}
    whole = seen(backout.state, change, range(len(change.atoms)), backout.folder)
    none = seen(backout.state, change, (), backout.folder)
    trees = [alone(case, tree, (before, bare, live)) for tree in (whole, bare, none, before)]
    assert difference(*trees[:2]) == {}
    assert {path: rows for path, rows in difference(*trees[2:]).items() if path not in kept} == {}
    assert difference(picture(backout.folder), live) == {}


def alone(case: Case, shown: dict[bytes, Any], trees: Sequence[dict[bytes, Any]]) -> dict[bytes, Any]:
    """Leave out what has several names in any tree, and attributes that no command in a view may see (xattr(7))."""
    several = {path for tree in trees for path, row in tree.items() if len(row.get("links", ())) > 1}
    told = {path: row for path, row in told_apart(case, shown).items() if path not in several}
    for path, row in told.items():
        visible = {key: value for key, value in row.get("xattrs", {}).items() if not key.startswith("trusted.")}
        told[path] = {**row, "xattrs": visible}
    return told


def through_backout(case: Case, backout: Backout, bare: dict[bytes, Any], code: int) -> None:
    """Rehearse, run and take back a case's change; `bare` is what it makes without backout."""
    before = picture(backout.folder)
    words = ("--network", "none", "--", *case.script("change.sh"))
    rehearsed, answer = backout.json("rehearse", *words)
    assert difference(picture(backout.folder), before) == {}, "law 1: a rehearsal changes nothing"
    assert rehearsed["exit_code"] == case.expect.get("exit", code)
    told(case, backout.folder, rehearsed)
    assert answer == case.expect.get("rehearse", 0)
    done, answer = backout.json("run", "--yes", *words)
    assert answer == case.expect.get("run", 0), done
    if answer:
        assert difference(picture(backout.folder), before) == {}, "what is refused changes nothing"
        return
    assert done["digest"] == rehearsed["digest"]
    assert difference(told_apart(case, picture(backout.folder)), told_apart(case, bare)) == {}
    if done["change"] is not None:
        taken, answer = backout.json("back")
        assert answer == 0, taken
    kept = {os.fsencode(path) for path in case.expect.get("kept", ())}
    assert {p: d for p, d in difference(picture(backout.folder), before).items() if p not in kept} == {}


def script(case: Case, name: str, folder: Path, started: list[subprocess.Popen[bytes]]) -> int:
    """Run one of a case's scripts in a folder; what it leaves running ends with the test."""
    process = subprocess.Popen(
        case.script(name),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    started.append(process)
    return process.wait(timeout=300)


def age(folder: Path) -> None:
    """Make everything in a folder old; what is immutable stays as it is."""
    for _, reached in walk(folder):
        with contextlib.suppress(PermissionError):
            os.utime(reached, ns=(OLD_NS, OLD_NS), follow_symlinks=False)


def told_apart(case: Case, shown: dict[bytes, Any]) -> dict[bytes, Any]:
    """Leave of times only what a bare run decides: one that is set stays, one that is made now is `now`."""
    return {
        path: {
            key: value if key != "mtime" or value <= OLD_NS else "now"
            for key, value in attributes.items()
            if key not in case.differs(path)
        }
        for path, attributes in shown.items()
        if os.fsdecode(path) not in case.expect.get("left_out", ())
    }


def told(case: Case, folder: Path, document: dict[str, Any]) -> None:
    """Compare the effects, the noise rules, the limits and the verdict that a document tells with the expected ones."""
    prefix = f"{folder}/"
    effects = {f"{e['kind']}:{e['subject'].replace(prefix, '')}": e["op"] for e in document["effects"]}
    noise = {n["path"].replace(prefix, ""): n["rule"] for n in document["noise"] if f"{n['path']}/" != prefix}
    noise = {path: rule for path, rule in noise.items() if not str(folder).startswith(path)}
    effects = {name.replace(str(folder), "."): op for name, op in effects.items()}
    assert summary(effects) == case.expect["effects"]
    assert {rule: sum(r == rule for r in noise.values()) for rule in noise.values()} == case.expect.get("noise", {})
    assert document["verdict"]["decision"] == case.expect.get("verdict", "ask")
    for word in case.expect.get("says", ()):
        said = [*document["limits"], *(part for reason in document["verdict"]["reasons"] for part in reason.values())]
        assert any(word in sentence for sentence in said), said


def summary(effects: dict[str, str]) -> dict[str, Any]:
    """Give effects as they are; where they fill more than a page, only how many of each."""
    if sum(map(len, effects)) < 4096:
        return dict(effects)
    return {op: sum(o == op for o in effects.values()) for op in effects.values()}


def table() -> list[tuple[str, str]]:
    """Read the table of tests/cases/README.md: (row of the list of traps, cases and tests that answer it)."""
    lines = (CASES / "README.md").read_text().splitlines()
    return [(cells[1].strip(), cells[3]) for line in lines if len(cells := line.split("|")) > 4 and cells[1].strip()]


def test_every_trap_about_files_is_answered_by_something_that_exists() -> None:
    """A list of traps that no test answers is a list of hopes."""
    rows = [(trap, answers) for trap, answers in table() if re.fullmatch(r"[A-C]\d+", trap)]
    assert {trap for trap, _ in rows} == ABOUT_FILES
    for trap, answers in rows:
        named = re.findall(r"`([^`]+)`", answers)
        assert named, trap
        for answer in named:
            assert exists(answer), f"{trap}: {answer}"


def exists(answer: str) -> bool:
    """Tell whether a case folder, or a test named as FILE::NAME, is there."""
    file, _, function = answer.partition("::")
    if function:
        return (TESTS / file).is_file() and f"def {function}(" in (TESTS / file).read_text()
    return answer in NAMES


def test_every_case_is_in_the_table() -> None:
    """A case that nobody can find by its trap is soon written a second time."""
    named = {name for _, answers in table() for name in re.findall(r"`([^`]+)`", answers)}
    assert sorted(set(NAMES) - named) == []
