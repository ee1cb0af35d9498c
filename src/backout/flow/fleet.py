"""Several hosts at once: each has a thread of its own, in which its link, its journal and all that is asked of it are.

What goes wrong on one host is that host's result; the rest goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NamedTuple, Protocol, TypeVar

from backout.errors import BackoutError, InterruptedError
from backout.flow.session import Session
from backout.link.wire import interrupts

Result = TypeVar("Result")
Open = Callable[[str], AbstractContextManager[Session]]
"""Opens a host's session, in the thread that will use it; a BackoutError says why it is not reached."""

AT_ONCE = 16
"""Hosts that are worked with at the same time: each costs an ssh and, when it is reached first, a key exchange."""
EXIT_CODES = (5, 4, 6, 7, 1, 3, 0)
"""Over several hosts, the first of these that is present (design, "Exit codes")."""
LISTENS_EVERY_S = 0.2
"""How often the thread that waits looks up: a signal that comes just before it falls asleep does not wake it."""
SKEW_S = 2.0
"""How far a host's clock may be off before it is told; a round trip is taken into account."""


class Greeting(NamedTuple):
    """What a host said of itself; `skew_s` is how far its clock is ahead, as far as a round trip lets it be known."""

    name: str
    identity: str
    skew_s: float


class Overview(Protocol):
    """How several hosts tell a person how far they are, and ask."""

    def step(self, text: str) -> None:
        """Say what begins now for all of them."""

    def at(self, host: str, text: str) -> None:
        """Say what a host is at; from any thread."""

    def ask(self, question: str, about: dict[str, Any]) -> bool | None:
        """Show what a question is about and ask; None, and nothing shown, when nobody is there to answer."""

    def show(self, document: dict[str, Any]) -> None:
        """Show what came of it."""


class At(NamedTuple):
    """Tells what one host is at. What is shown and asked is shown and asked once, of all."""

    tell: Overview
    host: str

    def step(self, text: str) -> None:
        """Say what the host is at."""
        self.tell.at(self.host, text)

    def show(self, document: dict[str, Any]) -> None:
        """Leave it to the report of all hosts."""

    def ask(self, question: str, about: dict[str, Any]) -> bool | None:
        """Ask nobody: the question is put once."""


class Fleet:
    """Sessions with the hosts of an environment. Used by one thread, which waits while all hosts work."""

    def __init__(self, hosts: Iterable[str], open_session: Open) -> None:
        """Reach nobody yet: `reach` does."""
        self.hosts = tuple(hosts)
        self.failed: dict[str, BackoutError] = {}
        """The hosts that were not reached, or were lost on the way, and why."""
        self.twins: dict[str, str] = {}
        """Second names of a machine, which are left out, and the name under which it is worked with."""
        self.stopped = False
        """Whether an interrupt came while `each` was not to be interrupted."""
        self.greetings: dict[str, Greeting] = {}
        self._on_the_way: dict[str, Callable[[], None]] = {}
        self._open = open_session
        self._some = threading.Semaphore(AT_ONCE)
        self._threads = {host: ThreadPoolExecutor(1, f"host {host}") for host in self.hosts}
        self._sessions: dict[str, tuple[ExitStack, Session]] = {}

    @property
    def reached(self) -> tuple[str, ...]:
        """Name the hosts that can be asked, in the order of the environment."""
        return tuple(host for host in self.hosts if host in self.greetings and host not in self.failed)

    def session(self, host: str) -> Session:
        """Give a host's session, for use in what `each` does alone."""
        return self._sessions[host][1]

    def on_the_way(self, host: str, end: Callable[[], None]) -> None:
        """Be told, by what opens a host's session, how to end at once what it waits for; any thread may then do so."""
        self._on_the_way[host] = end
        if self.stopped:
            end()

    def reach(self) -> None:
        """Reach every host; those that are not are in `failed`, and second names of a machine in `twins`.

        Ctrl-C ends at once whatever is on the way to a host, and is raised.
        """

        def open_it(host: str) -> Greeting:
            if self.stopped:
                raise InterruptedError("Interrupted.")
            with ExitStack() as stack:
                session = stack.enter_context(self._open(host))
                greeting = _greeting(session)
                self._sessions[host] = (stack.pop_all(), session)
            return greeting

        def give_up() -> None:
            self.stopped = True
            for end in list(self._on_the_way.values()):
                end()

        with interrupts(give_up):
            answers = self._gather({host: self._begin(host, open_it, host) for host in self.hosts})
        if self.stopped:
            raise KeyboardInterrupt
        for host, answer in answers.items():
            if isinstance(answer, BackoutError):
                self.failed[host] = answer
            elif twin := self._twin(answer):
                self.twins[host] = twin
            else:
                self.greetings[host] = answer

    @property
    def warnings(self) -> list[str]:
        """Say which names are left out, and of each clock that is off by more than SKEW_S by how much."""
        same = [_same_machine(host, twin) for host, twin in self.twins.items()]
        off = [_skewed(host, greeting.skew_s) for host, greeting in self.greetings.items() if is_off(greeting.skew_s)]
        return same + off

    def _twin(self, greeting: Greeting) -> str | None:
        known = {known.identity: host for host, known in self.greetings.items()}
        return known.get(greeting.identity)

    def each(
        self,
        act: Callable[[Session], Result],
        hosts: Iterable[str] | None = None,
        *,
        interruptible: bool = True,
        limit_s: float | None = None,
    ) -> dict[str, Result | BackoutError]:
        """Do the same on some hosts (on all that were reached), at the same time; give each one's result or error.

        Ctrl-C is passed on to all of them, and raised when each is as it was before; with `interruptible` off it only
        makes `stopped` true. A host that takes longer than the limit is let go: its result is an error.
        """
        over = threading.Event()

        def do(host: str) -> Result:
            session = self.session(host)
            if over.is_set():
                raise InterruptedError("Interrupted.", state="This host is as it was before.")
            with session.link.limited(limit_s):
                return act(session)

        chosen = tuple(self.reached if hosts is None else hosts)

        def interrupt() -> None:
            self.stopped = True
            if interruptible:
                over.set()
                for host in chosen:
                    self.session(host).link.stop()

        with interrupts(interrupt):
            results = self._gather({host: self._begin(host, do, host) for host in chosen})
        if over.is_set():
            raise KeyboardInterrupt
        return results

    def everyone(self, results: Mapping[str, Result | BackoutError]) -> dict[str, Result | BackoutError]:
        """Give each host's result, in the order of the environment; of those that were not reached, why."""
        found = {**results, **self.failed}
        return {host: found[host] for host in self.hosts if host in found}

    def stop(self) -> None:
        """Note an interrupt, and no more: a lock that a handler takes may be held by what it interrupted."""
        self.stopped = True

    def _begin(self, host: str, act: Callable[[str], Any], *arguments: Any) -> Future[Any]:
        def bounded() -> Any:
            with self._some:
                return act(*arguments)

        return self._threads[host].submit(bounded)

    def _gather(self, futures: dict[str, Future[Any]]) -> dict[str, Any]:
        """Wait for all, and give results and errors; what is no BackoutError is a bug, and raised."""
        while wait(futures.values(), LISTENS_EVERY_S).not_done:
            pass
        results: dict[str, Any] = {}
        for host, future in futures.items():
            error = future.exception()
            if error is not None and not isinstance(error, BackoutError):
                raise error
            results[host] = future.result() if error is None else error
        return results

    def close(self) -> None:
        """End every link, each in its thread, and wait for that."""
        ends = [self._threads[host].submit(stack.close) for host, (stack, _) in self._sessions.items()]
        wait(ends)
        for thread in self._threads.values():
            thread.shutdown()


def exit_code(codes: Iterable[int]) -> int:
    """Give the exit code of several hosts: the first present of 5, 4, 6, 7, 1, 3, 0; of no hosts, 0.

    A code beyond these, such as 2, counts where there is nothing but it and 0.
    """
    present = set(codes) - {0}
    return next((code for code in EXIT_CODES if code in present), max(present, default=0))


def _greeting(session: Session) -> Greeting:
    before = time.time()
    hello = session.link.ask("hello")
    after = time.time()
    told = hello["time_s"]
    return Greeting(hello["host"], hello["identity"], min(0.0, told - before) + max(0.0, told - after))


def is_off(skew_s: float) -> bool:
    """Tell whether a clock is so far off that it is told."""
    return abs(skew_s) > SKEW_S


def _skewed(host: str, skew_s: float) -> str:
    way = "ahead of" if skew_s > 0 else "behind"
    return f"{host}: its clock is {abs(skew_s):.0f} s {way} this machine's; times in its record are off as far."


def _same_machine(host: str, twin: str) -> str:
    return f"{host} is the same machine as {twin}, and worked with as {twin}: name it once in hosts of backout.toml."
