"""The drill's folder is removed at the end: it must never be one that somebody else filled."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from backout.drill.python import Interpreter
from backout.drill.wheels import BASE, LATEST, lock_text, pinned
from backout.drill.world import World, fingerprint, make_folder, without_pip_settings
from backout.errors import UsageError


def test_a_folder_with_something_in_it_is_never_taken(tmp_path: Path) -> None:
    """It would be deleted at the end."""
    (tmp_path / "precious").touch()
    with pytest.raises(UsageError, match="is there already"):
        make_folder(str(tmp_path))
    assert (tmp_path / "precious").exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """A slip of the hand gets a sentence, not a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is there already"):
        make_folder(str(tmp_path / "file"))


def test_a_path_that_scripts_would_trip_over_is_refused(tmp_path: Path) -> None:
    """The shop's scripts hold the path as it is."""
    with pytest.raises(UsageError, match="plain letters"):
        make_folder(str(tmp_path / "it's here"))


def test_a_chosen_folder_may_be_new_or_empty(tmp_path: Path) -> None:
    """Both are ours to fill and to remove."""
    assert os.path.isdir(make_folder(str(tmp_path / "new")))
    assert make_folder(str(tmp_path / "new")) == str(tmp_path / "new")


def test_what_the_operator_tells_pip_does_not_reach_the_shop() -> None:
    """PIP_FIND_LINKS would win over the shop's pip.conf, and the drill would play with other packages."""
    assert without_pip_settings({"PIP_INDEX_URL": "x", "PATH": "/bin"}) == {"PATH": "/bin"}


def test_backouts_own_record_stays_in_the_drills_folder() -> None:
    """A drill must not appear in the machine's record of changes."""
    environ = World("/srv/drill", Interpreter("/usr/bin/python3", (3, 11)), live=False).environ()
    assert environ["BACKOUT_STATE"].startswith("/srv/drill/")
    assert environ["XDG_STATE_HOME"].startswith("/srv/drill/")


@pytest.mark.parametrize(
    "change",
    ["echo new >file", "chmod 600 file", "mkdir new", "rm file", "ln -sf elsewhere link"],
)
def test_the_fingerprint_sees_every_kind_of_change(tmp_path: Path, change: str) -> None:
    """'Byte for byte what it was' is worth what this comparison is worth."""
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    before = fingerprint(str(tmp_path))
    subprocess.run(["sh", "-c", change], cwd=tmp_path, check=True)
    assert fingerprint(str(tmp_path)) != before


def test_the_fingerprint_leaves_out_what_a_running_shop_writes(tmp_path: Path) -> None:
    """Its log and its byte code move by themselves."""
    before = fingerprint(str(tmp_path))
    for name in ("run", "__pycache__"):
        (tmp_path / name).mkdir()
    assert fingerprint(str(tmp_path)) == before


@pytest.mark.parametrize("name", [BASE, LATEST])
def test_every_locked_package_has_hashes(name: str) -> None:
    """The drill installs nothing that was not seen before."""
    entries = [entry for entry in lock_text(name).replace("\\\n", " ").splitlines() if entry and entry[0] not in "# "]
    assert entries
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)


def test_staging_is_pinned_to_what_production_has() -> None:
    """Only then does the change move nothing there, whatever an index serves that day."""
    lock = "# a note\nflask==2.2.5 \\\n    --hash=sha256:aa\nsetuptools==65.5.0 ; python_full_version < '3.12' \\\n"
    assert pinned(lock) == "flask==2.2.5\nsetuptools==65.5.0 ; python_full_version < '3.12'\n"
