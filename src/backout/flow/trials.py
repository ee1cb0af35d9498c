"""Trials of parts of a change: several at once, each by a host half of its own, so that none waits for another.

The live host is not touched by any of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from typing import NamedTuple, Self

from backout.errors import FailedError, InterruptedError
from backout.flow.fleet import LISTENS_EVERY_S
from backout.link.wire import Link, interrupts
from backout.model.check import Check, CheckResult
from backout.model.ddmin import Atoms

Open = Callable[[Callable[[Callable[[], None]], None]], AbstractContextManager[Link]]
"""Opens a link, in the thread that will use it. It is given what is to be told how to end at once what it waits for."""

_RECOVER = "backout recover"


class OverError(Exception):
    """The time for all trials together is over."""


class Tried(NamedTuple):
    """What came of a trial: the checks' results, what it could not see, and how long it took, in seconds."""

    results: tuple[CheckResult, ...]
    limits: tuple[str, ...]
    took_s: float


class Trials:
    """Tries parts of one change, as many at once as there are host halves. Used by one thread, which waits."""

    def __init__(self, change: str, halves: Sequence[Open], timeout_s: float | None = None) -> None:
        """Open nothing yet: a host half is opened when there is something to do for it."""
        self._change = change
        self._halves = [_Half(open_link) for open_link in halves]
        self._interrupted = False
        self._over_at = None if timeout_s is None else time.monotonic() + timeout_s
        self.count = 0
        """How many trials were begun."""

    @property
    def at_once(self) -> int:
        """Tell how many are tried at the same time."""
        return len(self._halves)

    def each(self, wanted: Sequence[tuple[Atoms, Sequence[Check]]]) -> list[Tried]:
        """Try some parts, each with checks; gives what came of each.

        OverError when the time for all is over. Ctrl-C stops what is tried, and is raised.
        """
        found: list[Tried] = []
        while len(found) < len(wanted):
            found += self._together(wanted[len(found) : len(found) + self.at_once])
        return found

    def _together(self, wanted: Sequence[tuple[Atoms, Sequence[Check]]]) -> list[Tried]:
        with interrupts(self._interrupt):
            futures = [half.begin(self._change, *part) for half, part in zip(self._halves, wanted, strict=False)]
            self.count += len(futures)
            self._wait(futures)
        if self._interrupted:
            raise KeyboardInterrupt
        errors = [error for error in (future.exception() for future in futures) if error is not None]
        for error in errors:  # one that was only stopped says nothing
            if not isinstance(error, InterruptedError):
                raise error
        if errors:
            raise OverError
        return [future.result() for future in futures]

    def _wait(self, futures: Sequence[Future[Tried]]) -> None:
        """Wait for all of them; when one goes wrong, or the time is over, the others are stopped."""
        left = set(futures)
        while left:
            done, left = wait(left, LISTENS_EVERY_S, FIRST_COMPLETED)
            late = self._over_at is not None and time.monotonic() > self._over_at
            if late or any(future.exception() for future in done):
                self._stop()

    def _interrupt(self) -> None:
        self._interrupted = True
        self._stop()

    def _stop(self) -> None:
        for half in self._halves:
            half.stop()

    def __enter__(self) -> Self:
        """Give the trials themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop what is still tried, and end every host half."""
        self._stop()
        for ending in [half.end() for half in self._halves]:
            ending.result()


class _Half:
    """A host half, in a thread of its own from its opening to its end: a link is not for two threads."""

    def __init__(self, open_link: Open) -> None:
        self._open = open_link
        self._thread = ThreadPoolExecutor(1, "trial")
        self._stack = ExitStack()
        self._link: Link | None = None
        self._end_at_once: Callable[[], None] | None = None
        self._stopped = False

    def begin(self, change: str, chosen: Atoms, checks: Sequence[Check]) -> Future[Tried]:
        """Begin a trial."""
        return self._thread.submit(self._try, change, sorted(chosen), [check._asdict() for check in checks])

    def _try(self, change: str, chosen: list[int], checks: list[dict[str, object]]) -> Tried:
        if self._link is None:
            self._link = self._stack.enter_context(self._open(self._on_the_way))
        if self._stopped:
            raise InterruptedError("Interrupted.")
        begun = time.monotonic()
        try:
            answer = self._link.ask("trial", change=change, chosen=chosen, checks=checks)
        except FailedError as error:
            if error.next == _RECOVER:  # advised where a link ends; no change is in flight here
                error.state, error.next = "Nothing was changed.", f"Try again: backout split {change}"
            raise
        results = tuple(CheckResult(**row) for row in answer["results"])
        return Tried(results, tuple(answer["limits"]), time.monotonic() - begun)

    def _on_the_way(self, end: Callable[[], None]) -> None:
        self._end_at_once = end
        if self._stopped:
            end()

    def stop(self) -> None:
        """Stop what is tried, or what is waited for, from any thread; once: what it then undoes is not interrupted."""
        if self._stopped:
            return
        self._stopped = True
        if self._link is not None:
            self._link.stop()
        elif self._end_at_once is not None:
            self._end_at_once()

    def end(self) -> Future[None]:
        """End the host half, when it has answered."""
        ending = self._thread.submit(self._stack.close)
        self._thread.shutdown(wait=False)
        return ending
