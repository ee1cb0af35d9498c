"""What a person sees while the drill works: what is being done now and for how long, and what was found out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from backout.drill.acts import Teller

if TYPE_CHECKING:
    from rich.status import Status


@contextmanager
def teller_on(stream: TextIO) -> Iterator[Teller]:
    """Give a teller for a terminal; on anything else, one that says nothing (design, section 3)."""
    if not stream.isatty():
        yield Silent()
        return
    from rich.console import Console

    with Console(file=stream, highlight=False).status("") as status:
        yield OnTerminal(status)


class Silent:
    """Nobody is watching."""

    def act(self, title: str) -> None:
        """Say nothing."""

    def doing(self, what: str) -> None:
        """Say nothing."""

    def saw(self, what: str) -> None:
        """Say nothing."""


class OnTerminal:
    """Lines that stay, above one line that moves."""

    def __init__(self, status: Status) -> None:
        self._status = status
        self._begun_s = time.monotonic()

    def act(self, title: str) -> None:
        """Begin an act with its title."""
        self._status.console.print(f"\n{title}", style="bold", markup=False, soft_wrap=True)
        self._status.update("")

    def doing(self, what: str) -> None:
        """Keep what is being done, with the time at which it began, and let it move while it lasts."""
        self._status.console.print(f"  {self._clock()}  {what}", style="dim", markup=False, soft_wrap=True)
        self._status.update("  working")

    def saw(self, what: str) -> None:
        """Keep what was found out."""
        self._status.console.print(f"  {self._clock()}  {what}", markup=False, soft_wrap=True)

    def _clock(self) -> str:
        elapsed_s = time.monotonic() - self._begun_s
        return f"{elapsed_s // 60:.0f}:{elapsed_s % 60:02.0f}"
