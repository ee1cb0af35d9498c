"""Every kind of journal, each behind one fixture: what joins the list below meets the same promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backout.store import Journal, SqliteJournal

Opened = Callable[[], Journal]

# How another process opens the journal at the address that it is given as its first argument.
OPEN_IN_PROCESS = {"sqlite": "from backout.store import SqliteJournal; journal = SqliteJournal(Path(address))"}


@pytest.fixture(params=sorted(OPEN_IN_PROCESS))
def kind(request: pytest.FixtureRequest) -> str:
    """The kinds of journal that the contract is held against."""
    return str(request.param)


@pytest.fixture
def address(kind: str, tmp_path: Path) -> str:
    """Where a new, empty journal of that kind is."""
    return {"sqlite": str(tmp_path / "state" / "journal.db")}[kind]


@pytest.fixture
def opened(kind: str, address: str) -> Iterator[Opened]:
    """Open the journal, once more each time; all are closed at the end."""
    journals: list[Journal] = []

    def another() -> Journal:
        journals.append({"sqlite": SqliteJournal}[kind](Path(address)))
        return journals[-1]

    yield another
    for journal in journals:
        journal.close()


@pytest.fixture
def journal(opened: Opened) -> Journal:
    """A new, empty journal."""
    return opened()
