"""The kernel answers a state-changing call with an error: the act ends whole or says so truly, and recovery ends it.

Law 5, for errors. Every such call of an act fails in turn: once, and with all later ones of its name.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backout.errors import BackoutError
from backout.host.execute import Executor
from backout.model.ledger import KEPT, UNDONE, unfinished
from backout.model.step import Step
from kit.faults import OPENING, Acts, Call, Ended, Stage, acting
from kit.picture import difference

ERRORS = {"ENOSPC": "No space left on device", "EIO": "Input/output error"}
HOW = (("ENOSPC", False), ("ENOSPC", True), ("EIO", False))
"""With which error a call fails, and whether all later ones of its name do, too: a disk that is full stays full."""
UNTOUCHED = ("Nothing was changed.", "Everything is as it was before.", "It stands, whole, as it was applied")
WORKERS = 2


class _CrashError(BaseException):
    """What no code catches, as a SIGKILL."""


class Fault(Stage):
    """A stage in which one act, begun from where `before` brings it, meets an error."""

    def __init__(
        self, acts: Acts, folder: Path, new: dict[bytes, Any] | None, before: Callable[[Stage], object]
    ) -> None:
        super().__init__(acts, folder, new)
        before(self)
        self.start = self.picture()

    def judge(self, ended: Ended, error: str) -> str:
        """Hold how an act ended against what is there now; recover, and hold that against the law; gives old or new."""
        if ended.met:
            assert "Traceback" not in ended.said, ended.said
            assert ended.error or ended.code == 0
        if ended.error:
            self._is_true(ended.error, error)
        elif ended.met:
            self.is_whole()
        self.recover()
        return self.is_whole()

    def _is_true(self, told: dict[str, Any], error: str) -> None:
        """An error names its cause; says that the host is untouched only where it is; else leads to recovery."""
        assert ERRORS[error] in told["what"], told
        open_changes = unfinished(self.bench.transactions.changes())
        if told["state"].startswith(UNTOUCHED):
            assert difference(self.picture(), self.start) == {}, told
        else:
            assert open_changes, told
        assert not open_changes or "backout recover" in told["next"] or told["state"].startswith(UNTOUCHED), told

    def stands(self) -> bool:
        """Tell whether the ledger says that the change's effects are live."""
        changes = {change.id: change for change in self.bench.transactions.changes()}
        return self.order.change in changes and changes[self.order.change].stands

    def other_way(self, result: str) -> str:
        """Now that there is no fault, do what was not done, or take it back: nothing was lost of either side."""
        assert self.stands() == (result == "new")
        verb = ("undo", self.order.change, "last") if result == "new" else ("apply", "last")
        ended = self.acts.run(self.state, *verb)
        assert ended.code == 0, ended
        return self.is_whole()


def _applied(stage: Stage) -> None:
    stage.bench.transactions.apply(stage.order, {}, {})


def _kept(stage: Stage) -> None:
    assert stage.acts.run(stage.state, "apply").code == 0


def _crashed(act: Callable[[Stage], object], steps: int) -> Callable[[Stage], None]:
    """Give the act that is cut off after so many of its steps."""

    def crashing(stage: Stage) -> None:
        perform, left = Executor.perform, itertools.count(1)

        def hindered(self: Executor, step: Step) -> None:
            perform(self, step)
            if next(left) == steps:
                raise _CrashError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Executor, "perform", hindered)
            with pytest.raises(_CrashError):
                act(stage)

    return crashing


def _backed_out(stage: Stage) -> None:
    stage.bench.transactions.back_out(stage.bench.change(stage.order.change))


def _half_backed_out(stage: Stage) -> None:
    _applied(stage)
    _crashed(_backed_out, 4)(stage)


Sweep = Callable[[tuple[str, ...], Callable[[Stage], object]], "list[tuple[str, Fault]]"]


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Sweep]:
    """Give what sweeps over an act."""
    with acting(WORKERS) as acts:
        yield partial(_sweep, acts, tmp_path)


def _sweep(
    acts: Acts, folder: Path, verb: tuple[str, ...], before: Callable[[Stage], object]
) -> list[tuple[str, Fault]]:
    """Let every state-changing call of an act fail; gives what each left, old or new, and where."""
    bare = Fault(acts, folder / "bare", None, _kept)
    new = bare.picture(times=False)
    whole = Fault(acts, folder / "whole", new, before)
    cases = [(call, *how) for call in whole.calls(*verb, opening=True) for how in HOW]
    faults = [Fault(acts, folder / str(number), new, before) for number, _ in enumerate(cases)]

    def meet(fault: Fault, case: tuple[Call, str, bool]) -> Ended:
        call, error, onward = case
        return fault.injected(error, call, *verb, onward=onward)

    with ThreadPoolExecutor(WORKERS) as workers:
        ends = list(workers.map(meet, faults, cases))
    unmet = [case for case, ended in zip(cases, ends, strict=True) if not (ended.met or case[0].name == OPENING)]
    assert unmet == []
    assert any(ended.error for ended in ends), "no error was told: the sweep shows nothing"
    results, wrong = [], []
    for fault, case, ended in zip(faults, cases, ends, strict=True):
        try:
            results.append((fault.judge(ended, case[1]), fault))
        except (AssertionError, BackoutError, OSError) as error:
            wrong.append(f"{case}: {error!r}"[:2000])
    assert not wrong, f"{len(wrong)} of {len(cases)}\n" + "\n".join(wrong)
    return results


def test_every_error_of_an_apply_leaves_all_old_or_all_new(sweep: Sweep) -> None:
    """Laws 5 and 7: what is told of the host is so; what was applied after all can be taken back to the old bytes."""
    results = sweep(("apply",), lambda _: None)
    assert {result for result, _ in results} == {"old", "new"}
    for result, stage in results:
        assert {result, stage.other_way(result)} == {"old", "new"}


def test_every_error_of_an_undo_leaves_all_old_or_all_new(sweep: Sweep) -> None:
    """Laws 5 and 7 for `back`: a change that could not be taken back still stands, and can be taken back later."""
    results = sweep(("undo", "change1"), _kept)
    assert {result for result, _ in results} == {"old", "new"}
    for result, stage in results:
        assert {result, stage.other_way(result)} == {"old", "new"}


def test_every_error_of_a_back_out_leaves_all_old_or_all_new(sweep: Sweep) -> None:
    """Laws 5 and 7 for the way back after a red check: what is half-way is never told as whole."""
    results = sweep(("back_out", "change1"), _applied)
    for result, stage in results:
        state = stage.bench.change("change1").state
        assert state == (UNDONE if result == "old" else KEPT)


@pytest.mark.parametrize("before", [_crashed(_applied, 4), _half_backed_out], ids=["prepared", "undoing"])
def test_every_error_of_a_recovery_is_mended_by_the_next(sweep: Sweep, before: Callable[[Stage], object]) -> None:
    """Law 5: recovery may fail at any call, and still the next one brings back every byte and time."""
    results = sweep(("recover",), before)
    assert {result for result, _ in results} == {"old"}
    assert {stage.bench.change("change1").state for _, stage in results} == {UNDONE}
