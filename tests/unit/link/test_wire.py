"""The wire as the controller hears it: real processes on the other end, that speak well or badly."""

from __future__ import annotations

import signal
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backout.errors import ConflictError, FailedError, NeedsPersonError, NotPossibleError, UsageError
from backout.link import local, wire
from backout.link.wire import Link

SENTINEL = '{"sentinel": "backout.wire/1"}'
Said = list[tuple[str, str, bytes]]
Speak = Callable[..., Link]


@pytest.fixture
def said() -> Said:
    """The events that a link passed on."""
    return []


@pytest.fixture
def speak(said: Said) -> Iterator[Speak]:
    """A link to a shell that says the sentinel, and then what the script says; each ends with the test."""
    processes: list[Any] = []  # with pipes, which is what makes a Popen a Process

    def start(script: str, *, greeting: str = f"echo '{SENTINEL}'") -> Link:
        words = ["sh", "-c", f"{greeting}\n{textwrap.dedent(script)}"]
        processes.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        return Link(processes[-1], lambda *event: said.append(event))

    yield start
    for process in processes:
        with process:
            process.kill()


def test_a_login_banner_before_the_sentinel_is_skipped(speak: Speak) -> None:
    """Login shells greet, and some of their words are even JSON; none of it is an answer."""
    greeting = f"""printf '%s\\n' 'Welcome to web1!' '' '42' '["a"]' '{{"motd": 1}}' '{{"reply": "no"}}' '\xff'
        echo '{SENTINEL}'"""
    link = speak("read line; echo '{\"reply\": 7}'", greeting=greeting)
    assert link.ask("hello") == 7


def test_a_host_half_of_another_wire_is_not_possible_and_says_which(speak: Speak) -> None:
    """It might understand half of what it is asked to do to a server."""
    with pytest.raises(NotPossibleError, match=r"backout\.wire/2") as caught:
        speak("cat", greeting="""echo '{"sentinel": "backout.wire/2"}'""")
    assert "same release" in caught.value.next


def test_a_host_half_that_ends_before_its_first_word_has_failed(speak: Speak) -> None:
    """No Python there, no space, no right: the exit code is what there is to know."""
    with pytest.raises(FailedError, match=r"ended unexpectedly \(exit code 127\)"):
        speak("", greeting="echo 'sh: python3: not found'; exit 127")


def test_lines_that_are_no_messages_do_not_disturb_an_answer(speak: Speak) -> None:
    """A library that prints where it should not must not end a change in its middle."""
    link = speak("""read line; printf '%s\\n' 'Warning: x' '{"reply": ' 'null' '{}'; echo '{"reply": {"a": [1]}}'""")
    assert link.ask("hello") == {"a": [1]}


@pytest.mark.parametrize(("limit", "op"), [("READING_S", "entries"), ("CHANGING_S", "keep")])
def test_a_host_half_that_hangs_is_not_waited_for(
    speak: Speak, monkeypatch: pytest.MonkeyPatch, limit: str, op: str
) -> None:
    """A machine that swaps itself to death answers nothing, and ends nothing."""
    monkeypatch.setattr(wire, limit, 0.2)
    with pytest.raises(FailedError, match=r"No answer in 0\.2 s") as caught:
        speak("read line; exec sleep 600").ask(op)
    assert caught.value.next == "backout recover"


def test_events_are_passed_on_in_order_and_byte_by_byte(speak: Speak, said: Said) -> None:
    """The command's output is bytes; what is shown while it runs is what it wrote."""
    link = speak("""
        read line
        echo '{"event": "progress", "text": "applying"}'
        echo '{"event": "output", "stream": "stderr", "data": "/wD/"}'
        echo '{"reply": null}'
    """)
    assert link.ask("apply") is None
    assert said == [("progress", "applying", b""), ("output", "stderr", b"\xff\0\xff")]


def test_an_error_is_raised_as_what_it_is_with_its_conflicts(speak: Speak) -> None:
    """`back` tells each path that moved on; without them a person would know only that something did."""
    link = speak("""
        read line
        echo '{"error": {"exit_code": 6, "what": "moved", "state": "whole", "next": "again"}, "conflicts": [{"a": 1}]}'
        read line
        echo '{"error": {"exit_code": 5, "what": "stuck", "state": "half", "next": "recover"}}'
        read line
        echo '{"reply": "still here"}'
    """)
    with pytest.raises(ConflictError, match="moved") as conflict:
        link.ask("take_back")
    assert conflict.value.conflicts == ({"a": 1},)
    assert (conflict.value.state, conflict.value.next) == ("whole", "again")
    with pytest.raises(NeedsPersonError, match="stuck"):
        link.ask("recover")
    assert link.ask("hello") == "still here"


def test_a_host_half_that_ends_while_it_works_has_failed_and_recover_comes_next(speak: Speak) -> None:
    """It may have been killed in the middle of an apply: nobody knows, and the message must say so."""
    link = speak('read line; echo \'{"event": "progress", "text": "applying"}\'; kill -9 $$')
    with pytest.raises(FailedError, match=r"ended unexpectedly \(exit code -9\)") as caught:
        link.ask("apply")
    assert (caught.value.next, "recover" in caught.value.state) == ("backout recover", True)


def test_a_host_half_that_ended_between_two_requests_has_failed_just_so(speak: Speak) -> None:
    """A broken pipe would be taken for a reader of our output that went away, and end without a word."""
    link = speak("read line; echo '{\"reply\": 1}'; exit 3")
    assert link.ask("hello") == 1
    link._process.wait()
    with pytest.raises(FailedError, match=r"ended unexpectedly \(exit code 3\)"):
        link.ask("apply", document="x" * 100_000)
    link.close()


def test_a_link_ends_its_host_half(speak: Speak) -> None:
    """One that stayed would hold the host's lock, and every later backout would wait for it."""
    with speak("cat > /dev/null; exit 4") as link:
        process = link._process
    assert process.wait() == 4


def test_an_interrupt_waits_for_the_answer_that_tells_the_state_of_the_host(speak: Speak, said: Said) -> None:
    """Ctrl-C in a rehearsal: the host half cleans up and answers; only then is it over for the person."""
    link = speak("""
        trap 'echo "{\\"event\\": \\"progress\\", \\"text\\": \\"cleaning up\\"}"; echo "{\\"reply\\": 1}"' INT
        while read line; do kill -INT $PPID; sleep 0.1; done
    """)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        link.ask("rehearse")
    assert said == [("progress", "cleaning up", b"")]
    assert signal.getsignal(signal.SIGINT) is before


def test_the_host_half_of_this_machine_answers_for_itself(said: Said) -> None:
    """The local host is reached by the wire as well, so that what is tested here is what runs over ssh."""
    with local.connect(local.begin(), lambda *event: said.append(event)) as link:
        identity: str = link.ask("hello")["identity"]
        with pytest.raises(UsageError, match="'__init__'"):
            link.ask("__init__")
        assert link.ask("hello")["identity"] == identity
    assert link._process.wait() == 0
