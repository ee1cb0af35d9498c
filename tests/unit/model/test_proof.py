"""What proves, what does not, and what an edit since made of a proof."""

from __future__ import annotations

from typing import Any

import pytest

from backout.model.check import HEALTHY, NOT_RUN, REHEARSAL, UNHEALTHY, CheckResult
from backout.model.guard import Guard
from backout.model.incident import Row
from backout.model.proof import (
    GUARD,
    PROOF,
    Judged,
    Proof,
    backtest,
    cost,
    edited,
    fold,
    follows,
    gone,
    histories,
    last_held,
    of_check,
    of_command,
    of_guard,
)
from backout.model.replay import BACKED_OUT, Outcome, Past

STAYS = Guard("stays", "max-jump", "so", settings={"what": ()})
PAST = Past("bad", 10.0, "production", ("web1",), ("pip",), BACKED_OUT, refused=False)
BAD = Outcome(PAST, "a package crosses a major version: setuptools 65 -> 84.")
GOOD = Outcome(PAST._replace(id="good", harm=None))
TABLE = {"name": "stays", "rule": "max-jump", "what": ["python-package:setuptools"], "why": "so"}
PROVED = Proof(
    "i1", GUARD, "stays", "bad", "good", held=True, why="seen", backtest={"harmful": 1}, was=TABLE, at=5.0, seq=7
)


def row(proof: Proof, **other: Any) -> Row:
    """The event of a proof, as a journal gives it back."""
    return Row(proof.seq, proof.at, proof.at, "anna", PROOF, {**proof.body(), **other})


def test_a_proof_is_read_back_as_it_was_recorded_and_the_newest_of_a_name_counts() -> None:
    """A guard that was edited is tried anew: what came of it last is what it is worth, and the rest stays readable."""
    later = PROVED._replace(held=False, why="It lets it through.", at=6.0, seq=9)
    other = PROVED._replace(incident="i2", seq=8)
    rows = [row(PROVED), row(other), row(later)]
    assert fold(rows) == {PROVED.key: later, other.key: other}
    assert histories(rows)[PROVED.key] == (PROVED, later)
    assert last_held(histories(rows)[PROVED.key]) == PROVED
    assert last_held([later]) is None


@pytest.mark.parametrize("other", [{"sort": "promise"}, {"held": "yes"}, {"backtest": {"harmful": -1}}, {"was": None}])
def test_what_is_no_proof_is_passed_over(other: dict[str, Any]) -> None:
    """Another release, or a hand, may have written it: it must not stop what reads the rest."""
    assert fold([row(PROVED, **other), Row(8, 0.0, 0.0, "anna", "entry", PROVED.body())]) == {}


def test_a_guard_proves_by_refusing_the_bad_change_and_letting_the_good_one_through() -> None:
    """Both, with the guard's own reason: refusing alone is what a guard against everything does, too."""
    found = of_guard(STAYS, [BAD], [GOOD])
    assert found == Judged(held=True, why=f"It refuses bad: {BAD.reason} It lets good through.")


@pytest.mark.parametrize(
    ("bad", "good", "held", "why"),
    [
        ([Outcome(PAST)], [GOOD], False, "It lets the bad change bad through."),
        ([BAD], [GOOD._replace(reason="jump.")], False, "It refuses the good change good, too: jump."),
        ([BAD._replace(warned=True)], [GOOD], False, "It would only have warned of bad: an incident was open there"),
        ([Outcome(PAST, missing="gc let it go.")], [GOOD], None, "refuses bad cannot be told. gc let it go."),
        ([BAD], [GOOD._replace(missing="gone.")], None, "lets the good change good through cannot be told. gone."),
        ([BAD], [], None, "There is no good change"),
    ],
    ids=["lets bad through", "refuses good", "warns", "bad is gone", "good is gone", "no good one"],
)
def test_a_guard_that_does_less_does_not_prove(
    bad: list[Outcome], good: list[Outcome], held: bool | None, why: str
) -> None:
    """What nobody can tell any more is neither held nor failed; each says the way on."""
    found = of_guard(STAYS, bad, good)
    assert (found.held, why in found.why, bool(found.next)) == (held, True, True)


def test_on_several_hosts_one_refusal_is_enough_and_one_host_refused_too_many() -> None:
    """A rollout is refused as a whole: what was done where it was alike elsewhere was done nowhere then."""
    assert of_guard(STAYS, [Outcome(PAST), BAD], [GOOD]).held is True
    assert of_guard(STAYS, [BAD], [GOOD, GOOD._replace(reason="jump.")]).held is False


def test_a_guard_that_is_not_asked_there_does_not_prove() -> None:
    """It would refuse the change, and would never have been asked about it."""
    found = of_guard(STAYS._replace(environments=("staging",)), [BAD], [GOOD])
    assert (found.held, found.why) == (
        False,
        "It judges staging alone, and the bad change was made on production.",
    )


def test_a_guard_that_may_be_passed_proves_and_says_so_but_not_where_it_was_passed() -> None:
    """A stop with a reason on record is a stop. The one that let this very change happen was none."""
    may = STAYS._replace(override=True)
    assert of_guard(may, [BAD], [GOOD]).why.endswith("may pass it (--override stays); the record keeps that.")
    assert of_guard(may, [BAD], [GOOD], passed=True).held is False
    assert of_guard(STAYS, [BAD], [GOOD], passed=True).held is True


def test_what_was_found_or_made_again_while_the_incident_was_open_is_refused_all_the_same() -> None:
    """Drift was made before it was adopted, and a command that is rehearsed anew for the review is only looked at."""
    warned = BAD._replace(warned=True)
    assert of_guard(STAYS, [warned], [GOOD], adopted=True).held is True
    assert of_guard(STAYS, [warned._replace(past=PAST._replace(refused=True))], [GOOD]).held is True


def test_the_back_test_counts_worth_and_price_each_out_of_how_many() -> None:
    """A guard that refuses two of forty harmless changes is another one than one that refuses two of two."""
    quiet = PAST._replace(harm=None)
    outcomes = [
        BAD,
        Outcome(PAST),
        *[Outcome(quiet, "so")] * 2,
        *[Outcome(quiet)] * 38,
        Outcome(quiet._replace(refused=True), "so"),
        Outcome(quiet, missing="gone"),
    ]
    counts = backtest(outcomes)
    assert counts == {"harmful": 1, "did_harm": 2, "harmless": 2, "did_none": 40, "not_judged": 1}
    assert cost(counts) == (
        "On record it would have refused 1 of 2 changes that did harm and 2 of 40 changes that did none. "
        "Of 1 change nothing can be said."
    )
    assert cost({}) == ""
    assert cost({**counts, "did_harm": 0, "not_judged": 0}).startswith(
        "On record it would have refused 2 of 40 changes"
    )


def check(result: str, output: str = "") -> CheckResult:
    """What a check said in a view of the host."""
    return CheckResult("imports", REHEARSAL, result, output)


@pytest.mark.parametrize(
    ("bad", "good", "held", "why"),
    [
        (check(UNHEALTHY, "No pkg_resources"), check(HEALTHY), True, "with bad: No pkg_resources. It is green with"),
        (check(HEALTHY), check(HEALTHY), False, "It is green with the bad change bad"),
        (check(UNHEALTHY), check(UNHEALTHY, "disk full"), False, "It is red with good, too: disk full."),
        (check(NOT_RUN, "it names no rehearsal."), check(HEALTHY), None, "is not run in a view of the host: it names"),
    ],
    ids=["red and green", "saw nothing", "red with both", "not run"],
)
def test_a_check_proves_by_being_red_with_the_one_and_green_with_the_other(
    bad: CheckResult, good: CheckResult, held: bool | None, why: str
) -> None:
    """A check that was written after the fact is worth what it would have said then."""
    found = of_check("imports", ("bad", bad), ("good", good))
    assert (found.held, why in found.why) == (held, True)
    assert "green without bad" in of_check("imports", ("bad", check(UNHEALTHY)), ("", check(HEALTHY))).why


@pytest.mark.parametrize(
    ("runs", "held", "why"),
    [
        ([], False, "It was not run since the incident began."),
        ([("early", 5.0, "")], False, "It was not run since the incident began."),
        ([("c", 20.0, "")], True, "Its run c is applied and healthy."),
        ([("", 20.0, "")], True, "Its last run had nothing to do."),
        ([("c", 20.0, ""), ("d", 30.0, "was backed out")], False, "Its last run did not go well: d was backed out."),
    ],
    ids=["never", "before it", "applied", "nothing to do", "the last one failed"],
)
def test_a_command_proves_by_its_last_run_since_the_incident_began(runs: Any, held: bool, why: str) -> None:
    """What was run once and then failed is not done."""
    found = of_command("renew", begun=10.0, runs=runs)
    assert (found.held, found.why) == (held, why)


def test_a_guard_that_is_gone_is_red_and_one_that_was_renamed_says_its_new_name() -> None:
    """A rename is no loss of what it refuses, and still the review names something that is not there."""
    assert "no guard stays in backout.toml any more." in gone(PROVED, []).why
    renamed = {**TABLE, "name": "packages-stay", "why": "other words"}
    found = gone(PROVED, [{"rule": "checked", "why": "so"}, renamed])
    assert (found.held, "is called packages-stay now" in found.why) == (False, True)
    assert "backout review prove packages-stay" in found.next


def test_what_proves_under_another_name_stands_in_the_place_of_the_old_one() -> None:
    """A rename that was proven anew leaves nothing red behind; another guard, or another incident, is no rename."""
    renamed = PROVED._replace(name="packages-stay", was={**TABLE, "name": "packages-stay"})
    assert follows(PROVED, [PROVED, renamed])
    assert not follows(PROVED, [PROVED])
    for other in ({"held": False}, {"incident": "i2"}, {"was": {**TABLE, "what": []}}):
        assert not follows(PROVED, [renamed._replace(**other)])


def test_an_edit_is_told_by_the_keys_that_decide() -> None:
    """What a guard says may be worded anew; what it is about may not change unseen."""
    assert edited(TABLE, {**TABLE, "says": "Packages stay."}) == ""
    now = {**{key: value for key, value in TABLE.items() if key != "what"}, "override": True}
    assert edited(TABLE, now) == (
        "Edited since it held: what was python-package:setuptools, is not there; override was not there, is True."
    )
