"""A full disk is one of the things that break a site: `panic` must work on it."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from backout import bootstrap, cli
from backout.flow.incidents import read
from kit.bench import on_own_disk


def fill(disk: Path) -> None:
    """Leave no room at all."""
    with open(disk / "full", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def said_by(act: Callable[[], int]) -> tuple[int, str]:
    """Call something; gives its exit code, and what it wrote on both streams."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = act()
    out.seek(0)
    return code, out.read() + err.getvalue()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system of its own")
@pytest.mark.parametrize("opened_before", [True, False])
def test_panic_on_a_full_disk_shows_what_it_can_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, opened_before: bool
) -> None:
    """What was typed lies aside, on another disk, and is in the journal when there is room again."""
    disk = tmp_path / "disk"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(disk))
    monkeypatch.setenv("BACKOUT_STATE", str(tmp_path / "state"))

    def act() -> None:
        if opened_before:
            assert cli.run(["panic", "it", "is", "down"]) == 0
        fill(disk)
        code, said = said_by(lambda: cli.run(["panic", "the", "disk", "is", "full"]))
        assert "Incident i" in said, said
        assert "local answers" in said, said
        assert str(disk / "backout" / "journal.db") in said, said
        assert ("it is down" in said) == opened_before, said
        assert ("joined" in said) == opened_before, said
        assert "NOT IN THE JOURNAL" in said, said
        assert code == 0, said
        (disk / "full").unlink()
        with closing(bootstrap.journal()) as journal:
            (incident,) = read(journal).values()
            assert "the disk is full" in [incident.text, *(entry.text for entry in incident.entries)]

    on_own_disk(disk, 512, act)
