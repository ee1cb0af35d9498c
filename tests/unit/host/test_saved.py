"""What is saved as an incident begins: small, private, once, and never at the expense of a host in trouble."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from backout.host import saved, services
from backout.host.gc import collect
from backout.host.ledger import Ledger


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this process's own priority, and ask no service manager of this machine."""
    monkeypatch.setattr(os, "nice", lambda _: 0)
    monkeypatch.setattr(services, "states", lambda _: {})


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


def save(state: Path, watch: Path, *services: str, within_s: float = 60.0) -> dict[str, Any]:
    """Save for one incident."""
    return saved.save(os.fsencode(state), "i1", [str(watch)], services, within_s)


def rows(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is told of each file, by its path."""
    lines = (Path(told["where"]) / "files.json").read_text().splitlines()
    return {row["path"]: row for row in map(json.loads, lines)}


def test_files_are_copied_with_what_puts_them_back(tmp_path: Path, state: Path) -> None:
    """A person looks there when the fix made it worse: path, mode and owner must be known, strange names too."""
    app = tmp_path / "app"
    (app / "deep").mkdir(parents=True)
    name = os.fsdecode(b"odd\xff name")
    (app / "deep" / name).write_text("x")
    (app / "conf").write_text("workers = 2\n")
    (app / "conf").chmod(0o640)
    (app / "link").symlink_to("conf")
    told = save(state, app)
    row = rows(told)[str(app / "conf")]
    copy = Path(told["where"]) / row["copy"]
    assert (copy.read_text(), row["mode"], row["uid"]) == ("workers = 2\n", 0o640, os.getuid())
    assert copy.stat().st_mode & 0o777 == 0o600
    assert set(rows(told)) == {str(app / "conf"), str(app / "deep" / name)}
    assert (told["files"], told["size_bytes"], told["left_out"]) == (2, 13, [])


def test_what_has_no_room_is_named_and_settings_come_first(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One database must not keep the settings from being saved, and nobody must believe that it is saved."""
    monkeypatch.setattr(saved, "MOST_BYTES", 100)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "a-database").write_bytes(b"x" * 99)
    (tmp_path / "app" / "settings").write_bytes(b"y" * 50)
    told = save(state, tmp_path / "app")
    assert set(rows(told)) == {str(tmp_path / "app" / "settings")}
    assert told["left_out"] == [str(tmp_path / "app" / "a-database")]


def test_when_the_time_is_over_the_rest_is_named(tmp_path: Path, state: Path) -> None:
    """A disk that hangs must hold up nobody."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "file").touch()
    told = save(state, tmp_path / "app", within_s=0.0)
    assert told["files"] == 0
    assert told["left_out"]


def test_it_is_saved_once_for_an_incident(tmp_path: Path, state: Path) -> None:
    """What the host was like before anybody touched it is worth more than what it is like now."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "file").write_text("before")
    first = save(state, tmp_path / "app")
    (tmp_path / "app" / "file").write_text("tried something")
    again = save(state, tmp_path / "app")
    assert (first["again"], again["again"]) == (False, True)
    assert (Path(again["where"]) / "files" / "000000").read_text() == "before"


def test_our_own_state_is_not_saved(state: Path) -> None:
    """`watch` may name the folder around it: it would save what it saves."""
    (state / "ledger").write_text("lines")
    assert save(state, state.parent)["files"] == 0


def test_the_end_of_logs_named_by_services_is_kept(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logs are rotated away sooner than anybody has time to read them."""
    monkeypatch.setattr(saved, "_LOGS", str(tmp_path / "log"))
    monkeypatch.setattr(services, "manager", lambda: services.NONE)
    (tmp_path / "log" / "shop").mkdir(parents=True)
    (tmp_path / "log" / "shop" / "error.log").write_text("Traceback")
    (tmp_path / "log" / "shop.log").write_text("x" * saved._LOG_BYTES + "the end")
    (tmp_path / "log" / "other.log").write_text("not ours")
    told = save(state, tmp_path / "nowhere", "shop")
    kept = [Path(told["where"], line.rpartition(": ")[2]).read_text() for line in told["logs"]]
    assert [text[-7:] for text in kept] == ["the end", "aceback"]


def test_gc_lets_go_of_what_is_old(tmp_path: Path, state: Path) -> None:
    """It is kept for the review; after that it is only a copy of secrets."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "file").write_text("x" * 5000)
    folder = Path(save(state, tmp_path / "app")["where"])
    ledger = Ledger(os.fsencode(state))
    assert collect(ledger, 3600, standing=False, dry_run=False)["size_bytes"] == 0
    os.utime(folder, (time.time() - 7200,) * 2)
    assert collect(ledger, 3600, standing=False, dry_run=True)["size_bytes"] > 5000
    assert folder.exists()
    collect(ledger, 3600, standing=False, dry_run=False)
    assert not folder.exists()
