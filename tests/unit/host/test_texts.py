"""Text files as a change leaves them: its stage over what is live."""

from __future__ import annotations

import os
from pathlib import Path

from backout.host.plan import Plan
from backout.host.texts import LONGEST_BYTES, texts
from backout.model.state import State
from backout.model.step import Switch, Write

FILE = State("file", 0o644, 0, 0)


def switched(path: Path, staged: Path, want: State | None = FILE) -> Switch:
    """A step that brings what lies in the stage."""
    return Switch(os.fsencode(path), os.fsencode(staged), None, want)


def read(plan: Plan, path: Path | str) -> str | None:
    """One file."""
    return texts(plan, [str(path)])[str(path)]


def test_what_the_change_does_not_touch_is_what_is_live(tmp_path: Path) -> None:
    """Most requirements files are."""
    (tmp_path / "r.txt").write_text("flask\n")
    assert read(Plan(), tmp_path / "r.txt") == "flask\n"
    assert read(Plan(), f"{tmp_path}/./gone/../r.txt") is None
    assert read(Plan(), tmp_path / "none.txt") is None
    assert read(Plan(), tmp_path) is None


def test_what_the_change_brings_writes_and_removes_is_as_it_leaves_it(tmp_path: Path) -> None:
    """A guard that read the file of before would judge another change."""
    live, stage = tmp_path / "live", tmp_path / "stage"
    for folder in (live, stage, stage / "new"):
        folder.mkdir()
    for name in ("switched", "written", "removed"):
        (live / name).write_text("before")
        (stage / name).write_text("after")
    (stage / "new" / "r.txt").write_text("in a new folder")
    write = Write(os.fsencode(live / "written"), b"", os.fsencode(stage / "written"), FILE, FILE)
    a_folder = State("dir", 0o755, 0, 0)
    plan = Plan(
        steps=(
            switched(live / "switched", stage / "switched"),
            switched(live / "new", stage / "new", a_folder),
            switched(live / "removed", stage / "removed", None),
            write,
        )
    )
    assert [read(plan, live / name) for name in ("switched", "written", "removed")] == ["after", "after", None]
    assert read(plan, live / "new" / "r.txt") == "in a new folder"
    assert read(plan, live / "new" / "none") is None


def test_links_are_followed_as_they_will_be(tmp_path: Path) -> None:
    """`current` leads to the release; the change may switch it."""
    live, stage = tmp_path / "live", tmp_path / "stage"
    for release in ("1", "2"):
        (live / "releases" / release).mkdir(parents=True)
        (live / "releases" / release / "r.txt").write_text(f"release {release}")
    stage.mkdir()
    (live / "current").symlink_to("releases/1")
    (stage / "current").symlink_to(live / "releases" / "2")
    (live / "r.txt").symlink_to("./current/../2/r.txt")
    plan = Plan(steps=(switched(live / "current", stage / "current", State("symlink", 0o777, 0, 0, target=b"x")),))
    assert read(Plan(), live / "current" / "r.txt") == "release 1"
    assert read(plan, live / "current" / "r.txt") == "release 2"
    assert read(plan, live / "r.txt") == "release 2"


def test_a_circle_of_links_a_pipe_and_what_is_too_long_are_no_text(tmp_path: Path) -> None:
    """Nothing that lies there may hold a deployment up."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long").write_bytes(b"#" * (LONGEST_BYTES + 1))
    (tmp_path / "latin").write_bytes(b"caf\xe9==1\n")
    assert [read(Plan(), tmp_path / name) for name in ("a", "pipe", "long")] == [None, None, None]
    assert read(Plan(), tmp_path / "latin") == "caf\N{REPLACEMENT CHARACTER}==1\n"
