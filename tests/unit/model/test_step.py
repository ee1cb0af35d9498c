"""Steps: apply, undo and recovery are one executor over them, so undoing one is a swap and nothing else (law 5)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from backout.model.state import State
from backout.model.step import Meta, Service, Step, Switch, Write, pack_step, undo, unpack_step
from kit.values import steps

OLD, NEW = State("file", 0o644, 0, 0, 1, "aa"), State("file", 0o600, 0, 0, 2, "bb")
STOPPED, RUNNING = {"enabled": True, "active": False}, {"enabled": True, "active": True}


@given(steps())
def test_undoing_what_was_undone_is_the_step_itself(step: Step) -> None:
    """A back-out that crashed is itself taken back, by the same means and to the last inode number."""
    assert undo(undo(step)) == step


@given(steps())
def test_undoing_swaps_what_must_be_true_before_with_what_is_true_after(step: Step) -> None:
    """Law 4 rests on it: what we left is what must still be there when it is taken back."""
    undone = undo(step)
    assert type(undone) is type(step)
    assert (undone.expect, undone.want) == (step.want, step.expect)


@pytest.mark.parametrize(
    ("step", "undone"),
    [
        (Switch(b"/a", b"/s/a", OLD, NEW, 7, 8), Switch(b"/a", b"/s/a", NEW, OLD, 8, 7)),
        (Switch(b"/a", b"/s/a", None, NEW, None, 8), Switch(b"/a", b"/s/a", NEW, None, 8, None)),
        (Write(b"/a", b"/s/before", b"/s/after", OLD, NEW), Write(b"/a", b"/s/after", b"/s/before", NEW, OLD)),
        (Meta(b"/a", OLD, NEW), Meta(b"/a", NEW, OLD)),
        (
            Service("shop.service", ("stop", "start"), STOPPED, RUNNING),
            Service("shop.service", ("stop", "start"), RUNNING, STOPPED, undoing=True),
        ),
    ],
    ids=lambda step: type(step).__name__,
)
def test_each_kind_of_step_is_taken_back_whole(step: Step, undone: Step) -> None:
    """An inode number or a copy that stayed behind would have recovery take the new side for the old one."""
    assert undo(step) == undone


@given(steps())
def test_a_step_is_read_back_from_a_plan_as_it_was(step: Step) -> None:
    """Paths are bytes: a file whose name is not UTF-8 must be found again after a reboot."""
    read = unpack_step(json.loads(json.dumps(pack_step(step))))
    assert read == step
    assert type(read) is type(step), "tuples of two kinds can be equal"


def test_a_plan_names_its_steps_and_paths_in_words_that_a_person_can_use() -> None:
    """Recovery by hand reads them (docs/recovery-by-hand.md), and released names never change (FORMATS.md)."""
    packed = pack_step(Switch(b"/srv/\xff", b"/s/a", None, NEW, None, 8))
    assert packed == {
        "step": "switch",
        "path": "/srv/\udcff",
        "staged": "/s/a",
        "expect": None,
        "want": {"type": "file", "mode": "0600", "uid": 0, "gid": 0, "size": 2, "sha256": "bb", "mtime_ns": 0},
        "expect_inode": None,
        "want_inode": 8,
    }
    assert pack_step(Service("shop.service", ("start",), STOPPED, RUNNING)) == {
        "step": "service",
        "unit": "shop.service",
        "requests": ["start"],
        "expect": STOPPED,
        "want": RUNNING,
        "undoing": False,
    }
    assert pack_step(Meta(b"/a", OLD, NEW))["step"] == "meta"
    assert pack_step(Write(b"/a", b"/b", b"/c", OLD, NEW))["step"] == "write"


@pytest.mark.parametrize("unknown", [{"step": "reflink"}, {"of_tomorrow": 1}], ids=["step", "field"])
def test_a_step_of_a_newer_format_is_not_guessed_at(unknown: dict[str, object]) -> None:
    """Half of a step carried out is worse than none: a reader that does not know it must stop."""
    with pytest.raises(ValueError, match="not a step"):
        unpack_step({**pack_step(Meta(b"/a", OLD, NEW)), **unknown})
