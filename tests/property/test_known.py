"""What is known of files is never old: whatever was done to them, a look tells what is there now."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backout.host.facts import known
from backout.host.facts.ground import ground
from backout.host.facts.known import Known
from backout.host.facts.looking import Looking
from backout.host.facts.watched import files
from backout.host.tree import Parents, state_of
from backout.model.fact import Fact

NAMES = ("a", "b", "b!", "b-c", "b/c", "d/e/f", "d/\udcff", "é")
YOUNG_NS = 20_000_000
"""For these tests: longer than a tick of any kernel's clock (10 ms), short enough to be waited for."""


def write(path: Path, letter: str) -> None:
    """Write as many bytes as ever."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(letter * 8)


def in_place(path: Path, letter: str) -> None:
    """Write other bytes into the same inode, and put its time back."""
    if path.exists():
        before = path.stat()
        write(path, letter)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(path: Path, letter: str) -> None:
    """Put another file of the same size and time in its place."""
    if path.exists():
        before, other = path.stat(), path.with_name("other")
        write(other, letter)
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.rename(path)


def removed(path: Path, letter: str) -> None:
    """Take it away."""
    del letter
    path.unlink(missing_ok=True)


def moded(path: Path, letter: str) -> None:
    """Change what is not the content."""
    if path.exists():
        path.chmod(0o600 + "abc".index(letter))


def linked(path: Path, letter: str) -> None:
    """Put a link in its place."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(f"to-{letter}")


ACTS = {"write": write, "in place": in_place, "replaced": replaced, "removed": removed, "mode": moded, "link": linked}
STEP = st.tuples(st.sampled_from(sorted(ACTS)), st.sampled_from(NAMES), st.sampled_from("abc"))


def real(root: Path) -> list[Fact]:
    """What is there, read anew."""
    parents, found = Parents(), []
    for path in [root, *root.rglob("*")]:
        state = state_of(parents.name(os.fsencode(path)))
        assert state is not None
        found.append(Fact("file", str(path), state.document()))
    parents.close()
    return sorted(found, key=lambda fact: fact.key)


def look(state: Path, root: Path) -> tuple[list[Fact], Looking]:
    """A look at a folder."""
    looking = Looking(bytes(state), [str(root)])
    return list(files(looking, ground())), looking


@mock.patch.object(known, "YOUNG_NS", YOUNG_NS)
@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.tuples(STEP, st.sampled_from(["at once", "later", "look"])), max_size=12))
def test_a_hash_is_never_old(steps: list[Any]) -> None:
    """Restored times, files of the same size, renames: ctime tells, and what is too young for it is not believed."""
    folder = Path(tempfile.mkdtemp(prefix="known-", dir="/var/tmp"))
    root, state = folder / "watched", folder / "state"
    root.mkdir()
    for name in NAMES[:3]:
        write(root / name, "a")
    try:
        for (act, name, letter), then in steps:
            try:
                ACTS[act](root / name, letter)
            except OSError:  # a file where a folder would have to be, or the other way round
                continue
            if then == "later":
                time.sleep(2 * YOUNG_NS / 1e9)
            if then != "at once":
                assert look(state, root)[0] == real(root)
        time.sleep(2 * YOUNG_NS / 1e9)
        told, _ = look(state, root)
        again, looking = look(state, root)
        assert told == again == real(root)
        assert (looking.hashed, looking.known) == (0, looking.seen)
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "a folder", "a link"])
def test_what_is_damaged_is_not_believed_and_made_anew(tmp_path: Path, damage: str) -> None:
    """A crash, a full disk or a person: all of these cost time, and never tell anything wrong."""
    root, state = tmp_path / "watched", tmp_path / "state"
    write(root / "a", "a")
    old = time.time_ns() + 3 * known.YOUNG_NS
    place = state / "known" / "watch"
    with Known(bytes(place.parent), "watch", old) as rows:
        rows.keep(str(root / "a"), (root / "a").lstat(), {"type": "file", "sha256": "lie"})
    with Known(bytes(place.parent), "watch", old) as rows:
        assert rows.recall(str(root / "a"), (root / "a").lstat()) == {"type": "file", "sha256": "lie"}
        rows.recall(str(root / "b"), (root / "a").lstat())
    content = place.read_bytes()
    assert (place.stat().st_mode & 0o777, place.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    place.unlink()
    if damage == "a folder":
        place.mkdir()
    elif damage == "a link":
        place.symlink_to("elsewhere")
    else:
        place.write_bytes({"cut": content[:-70], "flipped": content.replace(b"lie", b"LIE"), "emptied": b""}[damage])
    told: list[str] = []
    with Known(bytes(place.parent), "watch", old, told.append) as rows:
        assert rows.recall(str(root / "a"), (root / "a").lstat()) is None
        rows.keep(str(root / "a"), (root / "a").lstat(), "true")
    assert told == (["What was hashed is not kept for the next look: Is a directory."] if damage == "a folder" else [])
    if told:
        return
    with Known(bytes(place.parent), "watch", old) as rows:
        assert rows.recall(str(root / "a"), (root / "a").lstat()) == "true"


def test_two_looks_at_once_do_not_harm_each_other(tmp_path: Path) -> None:
    """One of them writes what it knows; the other finds what was there, and its facts are as good."""
    root, folder = tmp_path / "watched", bytes(tmp_path / "state" / "known")
    write(root / "a", "a")
    status, old = (root / "a").lstat(), time.time_ns() + 3 * known.YOUNG_NS
    with Known(folder, "watch", old) as first:
        first.keep(str(root / "a"), status, "first")
        with Known(folder, "watch", old) as second:
            second.keep(str(root / "a"), status, "second")
        first.keep(str(root / "b"), status, "first")
    with Known(folder, "watch", old) as third:
        assert third.recall(str(root / "a"), status) == third.recall(str(root / "b"), status) == "first"
    assert sorted(os.listdir(folder)) == [b"watch"]


def test_what_was_not_finished_leaves_what_was_known(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a look."""
    root, folder = tmp_path / "watched", bytes(tmp_path / "state" / "known")
    write(root / "a", "a")
    status, old = (root / "a").lstat(), time.time_ns() + 3 * known.YOUNG_NS
    with Known(folder, "watch", old) as rows:
        rows.keep(str(root / "a"), status, "whole")
    with pytest.raises(KeyboardInterrupt), Known(folder, "watch", old) as rows:
        raise KeyboardInterrupt
    with Known(folder, "watch", old) as rows:
        assert rows.recall(str(root / "a"), status) == "whole"
    assert sorted(os.listdir(folder)) == [b"watch"]


def test_what_changed_just_now_is_not_believed(tmp_path: Path) -> None:
    """Within one tick of the clock it could change once more, and have the same times."""
    path, folder = tmp_path / "a", bytes(tmp_path / "known")
    write(path, "a")
    status = path.lstat()
    for began_ns, kept in ((status.st_ctime_ns + known.YOUNG_NS, None), (status.st_ctime_ns + known.YOUNG_NS + 1, "a")):
        with Known(folder, "watch", began_ns) as rows:
            rows.keep(str(path), status, "a")
        with Known(folder, "watch", began_ns) as rows:
            assert rows.recall(str(path), status) == kept
