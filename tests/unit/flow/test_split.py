"""What `split` makes of what trials tell, with host halves that answer from a function instead of a view."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pytest

from backout.config.values import Environment
from backout.errors import BackoutError, ConflictError, FailedError, InterruptedError, UsageError
from backout.flow.session import Session, Who
from backout.flow.split import FLAKY, FOUND, NOT_FOUND, Asked, split
from backout.flow.trials import Open
from backout.link.wire import Link
from backout.model.check import Check
from kit.cli import validate

IMPORTS, ANSWERS = Check("imports", run="…", within_s=30.0), Check("answers", http="…", within_s=30.0)
ALL = Asked()
Says = Callable[[frozenset[int], int], Any]
"""What is said of a part, the how manieth time: nothing where it is healthy, a text where not, None: not run."""


class Host:
    """Has one change of so many effects, and answers trials; what is composed is recorded in `refused`."""

    def __init__(self, count: int, says: Says, checks: Sequence[Check] = (IMPORTS,)) -> None:
        self.says, self.checks = says, tuple(checks)
        self.row: dict[str, Any] = {
            "id": "whole",
            "body": {"why": "newer"},
            "expired": False,
            "stands": False,
        }
        self.effects = [
            {"kind": "python-package", "subject": f"/venv:p{n}", "op": "edited", "before": "1", "after": "2"}
            for n in range(count)
        ]
        self.results: list[dict[str, Any]] = []
        self.asked: list[tuple[frozenset[int], tuple[Check, ...]]] = []
        self.composed: list[Any] = []
        self.let_go: list[str] = []
        self.refused: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.obstacles: list[str] = []
        self.opened, self.closed = 0, 0
        self.fails: BackoutError | None = None
        self._lock = threading.Lock()

    @property
    def document(self) -> dict[str, Any]:
        """The document of the change."""
        rest: dict[str, Any] = dict.fromkeys(("environment", "cwd"), "/")
        return {**rest, "change": "whole", "host": "web1", "effects": self.effects, "checks": self.results}

    def ask(self, op: str, **arguments: Any) -> Any:
        """Answer like a host half."""
        return getattr(self, f"_{op}")(**arguments)

    def stop(self) -> None:
        """There is nothing that takes a while."""

    def _unfinished(self, wait: bool) -> list[str]:
        assert wait
        return []

    def _changes(self) -> list[dict[str, Any]]:
        return [self.row]

    def _show(self, change: str) -> dict[str, Any]:
        assert change == "whole"
        return {"document": self.document}

    def _atoms(self, **_: str) -> dict[str, Any]:
        rows = [{**effect, "effects": [n], "paths": 3} for n, effect in enumerate(self.effects)]
        noise = {**rows[0], "kind": "noise", "subject": "", "effects": [], "paths": 9} if rows else {"kind": "noise"}
        return {"atoms": [*rows, noise], "limits": ["Services are not restarted."]}

    def _trial(self, chosen: list[int], checks: list[dict[str, Any]], **_: str) -> dict[str, Any]:
        if self.fails:
            raise self.fails
        part, asked = frozenset(chosen), tuple(Check(**check) for check in checks)
        with self._lock:
            times = sum(part == known for known, _ in self.asked)
            self.asked.append((part, asked))
        said = self.says(part, times)
        said = said if isinstance(said, dict) else {check.name: said for check in asked}
        return {"results": [_result(check, said.get(check.name, "")) for check in asked], "limits": []}

    def _compose(self, chosen: list[int], new: str, **_: Any) -> dict[str, Any]:
        self.composed.append(chosen)
        document = {
            **self.document, "change": new, "effects": [self.effects[n] for n in chosen if n < len(self.effects)],
            "digest": "sha256:" + "0" * 64, "limits": ["As composed."], "checks": [],
        }  # fmt: skip
        return {"document": document, "moved": {}, "obstacles": self.obstacles, "steps": 1, "said": ""}

    def _let_go(self, change: str) -> None:
        self.let_go.append(change)

    def _refuse(self, body: dict[str, Any], document: dict[str, Any], **_: str) -> None:
        self.refused.append((body, document))

    @contextmanager
    def _open(self, _: object) -> Iterator[Link]:
        with self._lock:
            self.opened += 1
        yield cast("Link", self)
        with self._lock:
            self.closed += 1

    def split(self, asked: Asked = ALL, at_once: int = 2) -> tuple[dict[str, Any], int]:
        """Split the change; its document is held against the schema."""
        environment = Environment("production", ("local",), checks=self.checks)
        new = map("rest-{}".format, itertools.count(1))
        session = Session(cast("Link", self), None, environment, Who("ada"), cast("Any", self), lambda: next(new))
        halves: list[Open] = [self._open] * at_once
        document, code = split(session, "whole", asked, halves)
        validate(document)
        return document, code

    def step(self, text: str) -> None:
        """Nobody looks."""


def _result(check: Check, said: str | None) -> dict[str, Any]:
    result = "not_run" if said is None else "unhealthy" if said else "healthy"
    return {"name": check.name, "where": "rehearsal", "result": result, "output": said or ""}


def names(document: dict[str, Any]) -> list[list[str]]:
    """The atoms of each part."""
    return [[atom["subject"].rpartition(":")[2] for atom in part["atoms"]] for part in document["parts"]]


def breaks(*parts: set[int], said: str = "ModuleNotFoundError: No module named 'x'") -> Says:
    """Break where one of these is there as a whole."""
    return lambda there, _: said if any(part <= there for part in parts) else ""


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_the_guilty_part_is_named_and_the_rest_is_ready(at_once: int) -> None:
    """What the command is for: the same answer however many host halves there are, and all of them ended."""
    host = Host(12, breaks({3, 7}))
    document, code = host.split(at_once=at_once)
    assert (names(document), code) == ([["p3", "p7"]], FOUND)
    assert document["parts"][0]["output"] == "ModuleNotFoundError: No module named 'x'"
    assert document["rest"]["counts"] == {"python-package": 10}
    assert host.composed == [sorted(set(range(13)) - {3, 7})]
    assert host.closed == host.opened >= min(at_once, 2)
    body, refused = host.refused[0]
    assert (body["split_from"], body["parts"]) == ("whole", [["python-package:/venv:p3", "python-package:/venv:p7"]])
    assert (body["command"], body["why"]) == (["backout", "split", "whole"], "newer")
    assert refused["verdict"]["reasons"][0]["next"] == f"backout run --change {document['rest']['change']}"
    assert document["trials"] == len(host.asked)


def test_a_live_command_is_told_as_not_tried_and_stays_with_the_rest() -> None:
    """What --after does may be what makes the change whole; whoever runs the rest runs it, too."""
    host = Host(4, breaks({3}))
    host.row["body"]["after"] = "systemctl kill -s HUP shop"
    document, _ = host.split()
    assert "Not run in a trial: the command after the apply, systemctl kill -s HUP shop" in document["limits"]
    assert host.refused[0][0]["after"] == "systemctl kill -s HUP shop"


def test_a_second_part_is_found_in_what_remains() -> None:
    """Whoever takes out the first culprit alone stands before the next one."""
    document, code = Host(9, breaks({1}, {4, 6})).split()
    assert (sorted(names(document)), code) == ([["p1"], ["p4", "p6"]], FOUND)
    assert document["rest"]["effects"] == 6


def test_what_breaks_in_another_way_is_not_what_was_asked_about() -> None:
    """Half of two packages that belong together breaks the site, too; counted, not believed."""

    def says(there: frozenset[int], _: int) -> str:
        if (2 in there) != (5 in there):
            return "ImportError: half of it"
        return "No module named 'x'" if {2, 5} <= there else ""

    document, _ = Host(8, says).split()
    assert names(document) == [["p2", "p5"]]
    assert document["unresolved"] > 0


def test_a_change_of_one_atom_is_the_answer_after_its_trials() -> None:
    """There is nothing to search in one package; but it must fail, and its absence must not."""
    host = Host(1, breaks({0}))
    host.says = lambda there, _: "broken" if 0 in there else ""
    document, code = host.split()
    assert (names(document), document["rest"], code) == ([["p0"]], None, FOUND)
    assert host.composed == []


def test_the_noise_may_be_what_breaks_it() -> None:
    """Stale byte code has broken sites; the noise is an atom like any other."""
    document, _ = Host(3, breaks({3})).split()
    assert [atom["kind"] for atom in document["parts"][0]["atoms"]] == ["noise"]
    assert document["rest"]["effects"] == 3


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (lambda _, __: "", "passes in a trial with all of change whole"),
        (lambda _, __: "refused", "fails without any of change whole, too: the host is unwell"),
        (lambda _, __: None, "is not run in a trial"),
    ],
)
def test_nothing_to_find_says_why(says: Says, words: str) -> None:
    """Exit 1, and what helps: a check that can be asked in a rehearsal, or a host that is well."""
    host = Host(4, says)
    with pytest.raises(FailedError, match=words) as raised:
        host.split()
    assert raised.value.next
    assert {part for part, _ in host.asked} == {frozenset(), frozenset(range(5))}
    assert len(host.asked) == 4


def test_a_check_that_answers_both_ways_is_told_with_both_answers_and_nothing_is_believed() -> None:
    """An oracle that is wrong now and then leads anywhere: better no answer."""
    host = Host(4, lambda there, times: "broken" if there and not times else "")
    document, code = host.split()
    assert (document["parts"], document["rest"], code) == ([], None, FLAKY)
    assert [said["result"] for said in document["flaky"][0]["said"]] == ["unhealthy", "healthy"]


def test_an_answer_that_is_not_true_a_second_time_is_not_given() -> None:
    """The search tries nothing twice; so it is led astray by one wrong answer, and the last look finds that out."""
    host = Host(8, lambda there, times: "broken" if len(there) > 8 or (3 in there and not times) else "")
    document, code = host.split()
    assert (document["parts"], document["rest"], code) == ([], None, FLAKY)
    assert [said["result"] for said in document["flaky"][0]["said"]] == ["unhealthy", "healthy"]
    assert host.refused == []


def test_only_what_the_change_broke_is_asked_on() -> None:
    """A check that is unwell without the change would make every part look guilty."""
    host = Host(6, lambda there, _: {"imports": "x" if 2 in there else "", "answers": "down"}, (IMPORTS, ANSWERS))
    document, _ = host.split()
    assert (names(document), document["checks"]) == ([["p2"]], ["imports"])
    assert any("answers" in limit and "without the change" in limit for limit in document["limits"])
    assert {tuple(check.name for check in checks) for _, checks in host.asked[4:]} == {("imports",)}


def test_the_checks_are_those_that_turned_red_unless_named() -> None:
    """By the record; a person who wants to know about another one says so."""
    host = Host(6, lambda there, _: {"imports": "x" if 2 in there else "", "answers": "y" if 4 in there else ""})
    host.checks = (IMPORTS, ANSWERS)
    host.results = [
        {"name": "answers", "where": "before", "result": "healthy", "output": ""},
        {"name": "answers", "where": "rehearsal", "result": "unhealthy", "output": "y"},
    ]
    assert names(host.split()[0]) == [["p4"]]
    assert names(host.split(Asked(("imports",)))[0]) == [["p2"]]
    with pytest.raises(UsageError, match="There is no check 'import'; there are: imports, answers"):
        host.split(Asked(("import",)))


def test_a_failing_trial_takes_no_longer_than_a_healthy_one_needs() -> None:
    """A check may have 30 s to become healthy; fifty failing trials of 30 s are half an hour. The last look has all."""
    host = Host(8, breaks({3}))
    host.split()
    limits = [checks[0].within_s for _, checks in host.asked]
    assert limits[:2] == limits[-2:] == [30.0, 30.0]
    assert all(limit < 30.0 for limit in limits[2:-2])


def test_a_check_that_needs_its_time_gets_it() -> None:
    """What says another thing when it is hurried is not flaky."""
    host = Host(6, lambda _, __: "")

    def says(there: frozenset[int], _: int) -> str:
        hurried = host.asked[-1][1][0].within_s < 30.0
        return "" if 2 not in there else "not yet" if hurried else "gunicorn exited"

    host.says = says
    document, code = host.split(at_once=1)
    assert (names(document), code) == ([["p2"]], FOUND)
    assert len({checks[0].within_s for _, checks in host.asked[4:]}) == 1


def test_when_the_time_is_over_what_is_known_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an hour an answer that is nearly one is worth more than none."""
    over = threading.Event()

    def says(there: frozenset[int], _: int) -> str:
        if 0 < len(there) < 100:
            assert over.wait(120)
        return "x" if 3 in there else ""

    host = Host(300, says)
    monkeypatch.setattr(host, "stop", over.set)
    document, code = host.split(Asked(timeout_s=1.0))
    assert (code, document["rest"], document["parts"][-1]["smallest"]) == (NOT_FOUND, None, False)
    assert "p3" in names(document)[-1]
    assert len(names(document)[-1]) < 300


def test_a_rest_that_is_not_ready_says_why_and_is_not_recorded() -> None:
    """The answer is worth something all the same."""
    host = Host(5, breaks({3}))
    host.obstacles = ["/srv/x: somebody has it open; it cannot be switched."]
    document, code = host.split()
    assert (names(document), document["rest"], code) == ([["p3"]], None, FOUND)
    assert host.let_go == ["rest-1"]
    assert any("somebody has it open" in limit for limit in document["limits"])
    assert host.refused == []


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"body": {"undoes": "other"}}, "is the back-out of other"),
        ({"body": {"adopted": True}}, "drift that was adopted"),
        ({"expired": True}, "let go by gc"),
        ({"id": "another"}, "There is no change whole"),
    ],
)
def test_what_cannot_be_taken_apart_is_wrong_usage(row: dict[str, Any], words: str) -> None:
    """Exit 2, before anything is tried."""
    host = Host(3, breaks({1}))
    host.row.update(row)
    with pytest.raises(UsageError, match=words):
        host.split()
    assert host.asked == []


def test_without_effects_or_checks_there_is_nothing_to_ask() -> None:
    """Each says what is missing."""
    with pytest.raises(FailedError, match="has no effects"):
        Host(0, breaks()).split()
    with pytest.raises(UsageError, match="Environment production has no checks"):
        Host(3, breaks({1}), checks=()).split()


@pytest.mark.parametrize("error", [ConflictError("It moved on."), FailedError("It ended.", next="backout recover")])
def test_what_goes_wrong_in_a_trial_is_raised_and_every_half_is_ended(error: BackoutError) -> None:
    """Nothing was changed, and nothing stays behind; what is advised is what helps here."""
    host = Host(3, breaks({1}))
    host.fails = error
    with pytest.raises(type(error)) as raised:
        host.split()
    assert host.closed == host.opened == 2
    assert raised.value.state == "Nothing was changed."
    assert "recover" not in raised.value.next


def test_an_interrupt_stops_all_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C: what is tried on other threads ends at once, too."""
    host, begun = Host(3, breaks({1})), threading.Barrier(3)
    stopped = threading.Event()

    def says(_: frozenset[int], __: int) -> str:
        begun.wait(120)
        assert stopped.wait(120)
        raise InterruptedError("Interrupted.")

    def interrupt() -> None:
        begun.wait(120)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(host, "stop", stopped.set)
    host.says = says
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        host.split()
    assert host.closed == 2
