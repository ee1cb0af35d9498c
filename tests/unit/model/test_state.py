"""The state of a path: what is promised to be put back, byte for byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from backout.model.state import State, unpack
from kit.values import states

PLAIN = State("file", 0o644, 0, 0, 3, "aa")


@given(states())
def test_a_state_is_read_back_from_a_plan_as_it_was(state: State) -> None:
    """What a plan loses of a mode, an attribute or a name that is not UTF-8, no back-out can put back."""
    assert unpack(json.loads(json.dumps(state.packed()))) == state


def test_nothing_there_is_read_back_as_nothing_there() -> None:
    """Undoing an added file removes it; a state in its place would be a file that nobody had."""
    assert unpack(None) is None


@given(states())
def test_a_document_tells_all_but_the_time(state: State) -> None:
    """The digest is taken of it, and every rehearsal writes at another time."""
    assert unpack(state.document()) == state.timeless()
    assert state._replace(mtime_ns=state.mtime_ns + 1).timeless() == state.timeless()


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "fifo"},
        {"mode": 0o4755},
        {"uid": 33},
        {"gid": 33},
        {"size": 4},
        {"sha256": "bb"},
        {"xattrs": ((b"security.capability", b"\1"),)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_difference_in_anything_but_the_time_matters(changed: dict[str, object]) -> None:
    """A conflict that is seen only in the content would let a lost capability or a new owner pass."""
    state = PLAIN._replace(**changed)  # type: ignore[arg-type]
    assert state.timeless() != PLAIN.timeless()
    assert state.document() != PLAIN.document()


def test_a_mode_is_told_as_people_write_it() -> None:
    """`ls` and `chmod` speak in four octal digits; so does the recovery by hand that reads a plan."""
    assert PLAIN._replace(mode=0o4).document()["mode"] == "0004"
    assert PLAIN._replace(mode=0o4755).document()["mode"] == "4755"


def test_a_document_tells_of_each_type_what_it_has_and_no_more() -> None:
    """A size of a folder differs between file systems, and would make two equal hosts different."""
    root = {"mode": "0644", "uid": 0, "gid": 0}
    assert PLAIN.document() == {"type": "file", **root, "size": 3, "sha256": "aa"}
    assert State("dir", 0o644, 0, 0, 4096).document() == {"type": "dir", **root}
    assert State("symlink", 0o644, 0, 0, target=b"\xff").document() == {"type": "symlink", **root, "target": "\udcff"}
    assert State("char", 0o644, 0, 0, rdev=(1, 3)).document() == {"type": "char", **root, "rdev": [1, 3]}


def test_attributes_are_told_in_base64_and_read_in_the_order_of_their_names() -> None:
    """Their values are bytes, and file systems list them in any order; two equal states must be equal."""
    document = PLAIN._replace(xattrs=((b"user.a", b"\0"), (b"user.b", b"b"))).document()
    assert document["xattrs"] == {"user.a": "AA==", "user.b": "Yg=="}
    turned = {**document, "xattrs": dict(reversed(list(document["xattrs"].items())))}
    assert unpack(turned) == unpack(document)
