"""A change's id is taken once on a host: whoever asks, and however many at once, nothing is done twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from backout.errors import BackoutError, RefusedError
from backout.host import rehearse as rehearsals
from backout.host.claim import claimed
from backout.host.ledger import Ledger, make_state
from backout.link import local
from backout.link.wire import Link
from backout.model.digest import canonical
from kit.bench import on_own_disk

ID = "20261123-170412-kfd"
Begin = Callable[[], Link]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Begin host halves that share one state folder; all are ended."""
    monkeypatch.setenv("BACKOUT_STATE", str(tmp_path / "state"))
    (tmp_path / "file").write_text("old\n")
    with ExitStack() as stack:
        yield lambda: stack.enter_context(local.connect(local.begin(), lambda *_: None))


def rehearse(link: Link, tmp_path: Path, change: str = ID) -> dict[str, Any]:
    """Rehearse that a file becomes longer; gives what an apply needs besides."""
    argv = ["/bin/sh", "-c", f"echo more >> {tmp_path}/file"]
    document = link.ask("rehearse", change=change, argv=argv, network="none")["document"]
    count = len(document.pop("effects"))
    told = {"environment": None, "command": argv, "verdict": {"decision": "allow", "reasons": []}}
    return {"change": change, "body": {}, "document": {**document, **told, "expected": [None] * count}}


def refused(act: Callable[[], Any]) -> str:
    """Give why it was refused."""
    with pytest.raises(RefusedError) as error:
        act()
    return error.value.what


def test_what_is_on_the_ledger_is_neither_rehearsed_nor_applied_again(begin: Begin, tmp_path: Path) -> None:
    """Law 3: a rollout that is resumed by two people at once would else append a line twice."""
    first, second = begin(), begin()
    first.ask("apply", **rehearse(first, tmp_path))
    first.ask("keep", change=ID, body={})
    stage = sorted(path.name for path in (tmp_path / "state" / "stage" / ID).iterdir())
    assert "on this host's record already" in refused(lambda: rehearse(second, tmp_path))
    assert sorted(path.name for path in (tmp_path / "state" / "stage" / ID).iterdir()) == stage
    assert (tmp_path / "file").read_text() == "old\nmore\n"


def test_an_id_that_came_onto_the_ledger_meanwhile_is_not_applied(begin: Begin, tmp_path: Path) -> None:
    """Under the lock: between a rehearsal and its apply there is all the time in the world."""
    first, second = begin(), begin()
    other = rehearse(second, tmp_path, "20261123-170412-kfe")
    second.ask("apply", **other)
    second.ask("keep", change=other["change"], body={})
    second.ask("take_back", change=other["change"], new="20261123-170412-kff", body={})
    second.ask("keep", change="20261123-170412-kff", body={})
    mine = rehearse(first, tmp_path)
    second.ask("redo", change=other["change"], new=ID, body={})
    second.ask("keep", change=ID, body={})
    assert "on this host's record already" in refused(lambda: first.ask("apply", **mine))
    assert "on this host's record already" in refused(lambda: first.ask("refuse", **mine))
    assert (tmp_path / "file").read_text() == "old\nmore\n"


def test_an_id_that_is_being_rehearsed_is_taken(begin: Begin, tmp_path: Path) -> None:
    """Two rehearsals in one folder of the stage would write into one another."""
    first, second = begin(), begin()
    mine = rehearse(first, tmp_path)
    assert "at work on change" in refused(lambda: rehearse(second, tmp_path))
    first.ask("apply", **mine)
    first.ask("keep", change=ID, body={})
    assert (tmp_path / "file").read_text() == "old\nmore\n"


def test_an_id_is_free_again_when_its_rehearsal_is_let_go_or_was_killed(begin: Begin, tmp_path: Path) -> None:
    """Who resumes after a crash must not be told for ever that somebody is at work."""
    first, second = begin(), begin()
    rehearse(first, tmp_path)
    first.ask("let_go", change=ID)
    rehearse(second, tmp_path)
    second._process.send_signal(signal.SIGKILL)
    second._process.wait()
    assert os.listdir(tmp_path / "state" / "stage") == [ID]
    third = begin()
    third.ask("apply", **rehearse(third, tmp_path))
    third.ask("keep", change=ID, body={})
    assert (tmp_path / "file").read_text() == "old\nmore\n"


def test_nobody_decides_twice_about_a_change(begin: Begin, tmp_path: Path) -> None:
    """Whoever lost the lock meanwhile would say "kept" of what was taken back, or take back what is kept."""
    first, second = begin(), begin()
    first.ask("apply", **rehearse(first, tmp_path))
    first.ask("keep", change=ID, body={})
    ledger = (tmp_path / "state" / "ledger").read_bytes()
    for act in ("keep", "back_out"):
        arguments = {"change": ID, **({"body": {}} if act == "keep" else {})}
        with pytest.raises(BackoutError, match="is kept already"):
            second.ask(act, **arguments)
    assert (tmp_path / "state" / "ledger").read_bytes() == ledger
    assert canonical("kept") in ledger


@pytest.mark.parametrize(
    "where",
    ["backout.host.folders.Folders.times", "backout.host.folders.copy_appearance", "backout.host.rehearse.plan"],
)
def test_an_id_is_free_again_when_its_rehearsal_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Also while its layers are made, and after it: one that stayed on another file system would block it for ever."""
    disk = tmp_path / "disk"
    request = rehearsals.Request(ID, ["touch", str(disk / "made")], str(tmp_path), dict(os.environ), network="none")
    ledger = Ledger(os.fsencode(tmp_path / "state"))
    make_state(ledger.state)

    def interrupt(*_: Any) -> None:
        if os.listdir(disk):  # its layer is there
            raise KeyboardInterrupt

    def rehearse_there() -> rehearsals.Rehearsed:
        with claimed(ledger, ID):
            return rehearsals.rehearse(request, ledger.state, lambda *_: None, lambda _: None)

    def act() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(where, interrupt)
            with pytest.raises(KeyboardInterrupt):
                rehearse_there()
        assert os.listdir(disk) == []
        rehearse_there().let_go()
        assert os.listdir(disk) == []

    on_own_disk(disk, 4096, act)
