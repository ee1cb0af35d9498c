"""Marks in a stream: what a person sees and what is recorded do not hang on how the stream was cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backout.terminal.marks import Ended, Hello, Lacks, Marks, Prompt, Started

NONCE = b"5f1e"
BEGINS = b"\x1b]633;backout;"
HELLO = BEGINS + b"hello;" + NONCE + b"\a"


def mark(said: bytes, nonce: bytes = NONCE) -> bytes:
    """A mark as recording.bash writes it."""
    return BEGINS + nonce + b";" + said + b"\a"


def heard(*pieces: bytes) -> tuple[list[bytes | str], bytes]:
    """What comes of a stream: the bytes between marks as one, each mark in words; and all that is shown."""
    marks, found = Marks(), list[bytes | str]()
    for part in [part for piece in pieces for part in marks.feed(piece)] + [marks.rest()]:
        if not isinstance(part, bytes):
            found.append(repr(part))
        elif found and isinstance(found[-1], bytes):
            found[-1] += part
        elif part:
            found.append(part)
    return found, b"".join(part for part in found if isinstance(part, bytes))


PARTS = st.lists(
    st.one_of(
        st.binary(max_size=6),
        st.sampled_from(
            [
                HELLO,
                mark(b"start;0;/srv;ls"),
                mark(b"end;3"),
                mark(b"prompt"),
                mark(b"end;3", b"other"),
                mark(b"what;is;this"),
                mark(b"end;x"),
                BEGINS,
                BEGINS + NONCE,
                BEGINS[:5],
                b"\x1b",
                b"\a",
                "ä→".encode(),
            ]
        ),
    ),
    max_size=12,
)


@given(PARTS, st.data())
def test_any_cut_of_a_stream_shows_and_tells_the_same(parts: list[bytes], data: st.DataObject) -> None:
    """A read ends wherever the kernel likes, also in the midst of a mark or of a character."""
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert heard(*pieces) == heard(stream)
    assert heard(*(bytes([byte]) for byte in stream)) == heard(stream)


@given(st.binary())
def test_what_holds_no_mark_is_shown_as_it_is(data: bytes) -> None:
    """Full-screen programs and files of any encoding go through, byte for byte."""
    _, shown = heard(HELLO, data)
    assert shown == data


def test_marks_are_taken_out_and_told_in_their_order() -> None:
    """The output of a command is what stands between its start and its end."""
    start = mark(rb"start;130;/srv/a\x3bb;echo \x22\x5cx41\x0a\xe4\x3b\x1b")
    found, shown = heard(b"motd" + HELLO + mark(b"prompt") + b"$ " + start + b"out" + mark(b"end;7"))
    assert found == [
        b"motd",
        repr(Hello()),
        repr(Prompt()),
        b"$ ",
        repr(Started(130, "/srv/a;b", 'echo "\\x41\n\udce4;\x1b')),
        b"out",
        repr(Ended(7)),
    ]
    assert shown == b"motd$ out"


def test_who_does_not_know_the_number_is_not_heard() -> None:
    """A log that somebody else could write to must not be able to put lines on the timeline."""
    forged = mark(b"start;0;/;rm -rf /", b"x") + BEGINS + b"hello;x\a" + mark(b"end;0", b"x") + BEGINS + b"lacks;bash\a"
    found, shown = heard(HELLO + forged + mark(b"prompt"))
    assert found == [repr(Hello()), forged, repr(Prompt())]
    assert shown == forged


def test_a_beginning_that_goes_nowhere_hides_no_mark_behind_it() -> None:
    """Else a program could make the next command go unrecorded."""
    found, _ = heard(HELLO + BEGINS + NONCE + b";start;0;" + mark(b"end;1") + BEGINS + mark(b"prompt"))
    assert [part for part in found if not isinstance(part, bytes)] == [repr(Hello()), repr(Ended(1)), repr(Prompt())]


def test_a_mark_without_end_is_not_waited_for_forever() -> None:
    """What was held would never be shown."""
    endless = BEGINS + NONCE + b";" + b"x" * (1 << 20)
    marks = Marks()
    marks.feed(HELLO)
    assert b"".join(part for part in marks.feed(endless) if isinstance(part, bytes)) == endless


def test_what_is_lacking_is_told_before_the_shell_is_there() -> None:
    """A host without bash gets an error that says so."""
    assert heard(BEGINS + b"lacks;bash\a")[0] == [repr(Lacks("bash"))]
