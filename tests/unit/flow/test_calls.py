"""Hosts that are asked beside what else is done: one that says nothing keeps nobody waiting."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

from backout.errors import BackoutError, FailedError
from backout.flow.calls import Calls, End
from backout.link.wire import Link


class Talker:
    """A link that answers with what it was asked for; of what it does not know it says nothing until it is ended."""

    def __init__(self, ended: threading.Event) -> None:
        self._ended = ended

    def interrupt(self) -> None:
        """Stop, as on Ctrl-C."""
        self._ended.set()

    def ask(self, operation: str, **arguments: Any) -> Any:
        """Answer, or wait for the end."""
        if operation == "fail":
            raise KeyError(operation)
        if operation == "hang":
            self._ended.wait()
            raise FailedError("The host half ended unexpectedly.")
        return operation, arguments


@contextlib.contextmanager
def opened(host: str, on_the_way: Callable[[End], None]) -> Iterator[Link]:
    """Reach any host but `nowhere`, which says nothing on the way."""
    ended = threading.Event()
    on_the_way(ended.set)
    if host == "nowhere":
        ended.wait()
        raise FailedError("ssh ended.")
    yield cast("Link", Talker(ended))


def heard(calls: Calls, *what: str) -> dict[tuple[str, str], Any]:
    """Hear all that is named: what was answered, or why not."""
    return {(said.host, said.what): said.answer or cast("BackoutError", said.error).what for said in calls.hear(*what)}


def test_one_that_says_nothing_is_named_and_the_rest_goes_on() -> None:
    """The host that is down is the one that everybody asks."""
    calls = Calls(["web1", "nowhere"], opened)
    for host, limit_s in (("web1", 60.0), ("nowhere", 0.1)):
        calls.ask(host, "a", "hello", limit_s)
        calls.ask(host, "b", "entries", limit_s, after=1)
    said = heard(calls, "a", "b")
    calls.close()
    assert said[("web1", "a")] == ("hello", {})
    assert said[("web1", "b")] == ("entries", {"after": 1})
    assert said[("nowhere", "a")] == said[("nowhere", "b")] == "nowhere said nothing for 0.1 s."


def test_one_that_falls_silent_is_asked_no_more() -> None:
    """Each further question would wait as long again."""
    calls = Calls(["web1"], opened)
    for name, operation, limit_s in (("a", "hello", 60.0), ("b", "hang", 0.1), ("c", "hello", 0.1)):
        calls.ask("web1", name, operation, limit_s)
    said = heard(calls, "a", "b", "c")
    calls.close()
    assert said[("web1", "a")] == ("hello", {})
    assert said[("web1", "b")] == said[("web1", "c")] == "web1 said nothing for 0.1 s."


def test_what_goes_wrong_in_a_thread_is_an_answer() -> None:
    """A thread that ends without a word would be waited for."""
    calls = Calls(["web1"], opened)
    calls.ask("web1", "a", "fail")
    calls.ask("web1", "b", "hello")
    said = heard(calls, "a", "b")
    calls.close()
    assert "KeyError" in said[("web1", "a")]
    assert said[("web1", "b")] == ("hello", {})


def test_closing_ends_what_is_waited_for() -> None:
    """Ctrl-C must not take as long as the slowest host."""
    calls = Calls(["web1"], opened)
    calls.ask("web1", "a", "hang", 600.0)
    assert list(calls.hear("a", within_s=0.05)) == []
    calls.close()
