"""Killed at every state-changing system call of apply, undo and recovery: afterwards all-old or all-new (law 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kit.faults import Call, Stage, acting

Stages = Callable[[], Stage]


@pytest.fixture
def stages(tmp_path: Path) -> Iterator[Stages]:
    """Make one fresh stage after another."""
    made: list[Stage] = []
    with acting() as acts:

        def make() -> Stage:
            stage = Stage(acts, tmp_path / f"s{len(made)}", made[0].new if made else None)
            made.append(stage)
            return stage

        yield make


def test_apply_killed_at_every_call(stages: Stages) -> None:
    """Before `applied` recovery undoes, after it keeps (healthy here): never a mixture."""
    whole = stages()
    calls = whole.calls("apply")
    whole.new = whole.picture(times=False)
    seen = set()
    for call in calls:
        stage = stages()
        assert stage.killed(call, "apply") != 0, f"{call} was not reached"
        stage.recover()
        seen.add(stage.is_whole())
    assert seen == {"old", "new"}


def test_undo_killed_at_every_call(stages: Stages) -> None:
    """Law 5 for `back`: a back-out is a change like any other."""
    whole = stages()
    whole.bench.apply(whole.order)
    whole.new = whole.picture(times=False)
    calls = whole.calls("undo", whole.order.change)
    assert whole.is_whole() == "old"
    seen = set()
    for call in calls:
        stage = stages()
        stage.bench.apply(stage.order)
        assert stage.killed(call, "undo", stage.order.change) != 0
        stage.recover()
        seen.add(stage.is_whole())
    assert seen == {"old", "new"}


def test_recovery_killed_at_every_call(stages: Stages) -> None:
    """Recovery is killed while it recovers an apply that was killed amid its switches; the next one ends it."""

    def half_applied() -> Stage:
        stage = stages()
        assert stage.killed(Call("renameat2", 4), "apply") != 0
        return stage

    first = half_applied()
    for call in first.calls("recover"):
        stage = half_applied()
        assert stage.killed(call, "recover") != 0
        stage.recover()
        assert stage.is_whole() == "old"
