"""When a change is let through: the design's paragraph of that name, sentence by sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.model.check import AFTER, BEFORE, HEALTHY, NOT_RUN, REHEARSAL, UNHEALTHY, CheckResult
from backout.model.effect import Effect
from backout.model.verdict import ALLOW, ASK, REFUSE, Context, Reason, Verdict, judge, refused
from kit.values import effect

DIGEST, OTHER = "sha256:now", "sha256:then"
EXPECTED = effect("file:/srv/shop/gunicorn.conf.py", expected=True)
SURPRISE = effect("python-package:/srv/shop/venv:setuptools", expected=False)
EFFECT = effect("file:/srv/a")


def judged(*effects: Effect, **context: Any) -> Verdict:
    """The verdict over these effects; `expecting` follows from them, as it does in the flow."""
    expecting = any(one.expected is not None for one in effects)
    return judge(effects, Context(**{"digest": DIGEST, "expecting": expecting, **context}))


def checked(before: str, then: str, where: str = REHEARSAL) -> tuple[CheckResult, ...]:
    """One check's results, before and then."""
    return CheckResult("answers", BEFORE, before), CheckResult("answers", where, then)


def test_what_is_expected_and_turns_nothing_red_is_let_through_unasked() -> None:
    """The careful way must be shorter than the short cut."""
    assert judged(EXPECTED, checks=checked(HEALTHY, HEALTHY)) == Verdict(ALLOW)


@pytest.mark.parametrize("agreed", [{}, {"yes": True}, {"accept": DIGEST}, {"yes": True, "accept": DIGEST}])
def test_anything_outside_what_was_expected_refuses_whatever_else_is_said(agreed: dict[str, Any]) -> None:
    """`--yes` in a script's history must never let through the surprise that `--expect` is there to stop."""
    verdict = judged(EXPECTED, SURPRISE, **agreed)
    assert verdict.decision == REFUSE
    (reason,) = verdict.reasons
    assert reason.what.endswith("1 effect is outside what was expected: python-package:/srv/shop/venv:setuptools")
    assert "gunicorn" not in reason.what


def test_without_an_expectation_a_person_is_asked_and_told_the_digest_to_accept() -> None:
    """Where nobody is there to answer, the digest is how to agree to exactly this (design, section 3)."""
    verdict = judged(EFFECT)
    assert verdict.decision == ASK
    assert f"--accept {DIGEST}" in verdict.reasons[0].next


@pytest.mark.parametrize("agreed", [{"yes": True}, {"accept": DIGEST}])
def test_yes_or_the_right_digest_answers_the_question(agreed: dict[str, Any]) -> None:
    """Both say that a person has looked; a report that went on asking would look undecided."""
    assert judged(EFFECT, **agreed) == Verdict(ALLOW)


@pytest.mark.parametrize("effects", [(EFFECT,), (EXPECTED,), ()])
@pytest.mark.parametrize("yes", [False, True])
def test_another_digest_than_the_accepted_one_refuses_and_names_the_new_one(
    effects: tuple[Effect, ...], yes: bool
) -> None:
    """`--accept` applies only that very effect set: between the look and the run, the package index moved on."""
    verdict = judged(*effects, accept=OTHER, yes=yes)
    assert verdict.decision == REFUSE
    assert DIGEST in verdict.reasons[0].what
    assert verdict.reasons[0].next.endswith(f"--accept {DIGEST}.")


@pytest.mark.parametrize("expecting", [False, True])
def test_a_command_that_changes_nothing_is_let_through(expecting: bool) -> None:
    """There is nothing to agree to; a nightly run that found all in order must not fail for want of a person."""
    assert judged(expecting=expecting) == Verdict(ALLOW)


@pytest.mark.parametrize("where", [REHEARSAL, AFTER])
@pytest.mark.parametrize("effects", [(EXPECTED,), (EFFECT,), ()])
def test_a_check_that_turns_red_refuses_even_what_was_expected(effects: tuple[Effect, ...], where: str) -> None:
    """The change is what was wanted, and still the site would be down."""
    verdict = judged(*effects, yes=True, accept=DIGEST, checks=checked(HEALTHY, UNHEALTHY, where))
    assert verdict.decision == REFUSE
    assert "'answers' was healthy" in verdict.reasons[0].what


def test_a_check_that_was_red_and_stays_red_is_shown_and_asked() -> None:
    """The partial fix of a site that is down must not be refused; that it is partial must be seen."""
    red = checked(UNHEALTHY, UNHEALTHY)
    verdict = judged(EXPECTED, checks=red)
    assert verdict.decision == ASK
    assert "'answers' was unhealthy before" in verdict.reasons[0].what
    for allowed in (judged(EXPECTED, checks=red, yes=True), judged(EXPECTED, checks=red, accept=DIGEST)):
        assert (allowed.decision, allowed.reasons[0].what) == (ALLOW, verdict.reasons[0].what)
        assert "--yes" not in allowed.reasons[0].next


@pytest.mark.parametrize(("before", "then"), [(HEALTHY, NOT_RUN), (NOT_RUN, UNHEALTHY), (NOT_RUN, NOT_RUN)])
def test_a_check_that_was_not_run_stops_nothing(before: str, then: str) -> None:
    """Only green -> red refuses; a check that cannot be rehearsed is run after the apply."""
    assert judged(EXPECTED, checks=checked(before, then)) == Verdict(ALLOW)


@pytest.mark.parametrize("code", [1, 0, -9])
def test_a_command_that_failed_refuses_and_names_its_exit_code(code: int) -> None:
    """Half of what an installer meant to do is no change to apply. With `--ok-exit 2`, zero is a failure, too."""
    verdict = judged(EXPECTED, failed=code, yes=True)
    assert verdict.decision == REFUSE
    assert verdict.reasons[0].what == f"The command exited {code}."
    assert "--ok-exit" in verdict.reasons[0].next


def test_what_cannot_be_applied_here_refuses_for_each_obstacle() -> None:
    """It is said before anything is touched, and all of it, so that one mending is enough."""
    verdict = judged(EXPECTED, obstacles=("/a is immutable", "/b is on a full disk"), yes=True)
    assert verdict.decision == REFUSE
    assert [reason.what for reason in verdict.reasons] == ["/a is immutable", "/b is on a full disk"]


def test_a_refusal_gives_all_its_reasons_and_no_questions() -> None:
    """Who mends one reason and meets the next at each try gives up, and uses the short cut."""
    checks = (*checked(HEALTHY, UNHEALTHY), CheckResult("down", BEFORE, UNHEALTHY))
    verdict = judged(SURPRISE, failed=1, checks=checks, obstacles=("/a is immutable",), accept=OTHER)
    told = [reason.what for reason in verdict.reasons]
    assert len(told) == 5
    assert not any("down" in what for what in told)
    assert told[0].startswith("The command exited 1"), "the command's failure is the first thing to know"


@pytest.mark.parametrize(("count", "told"), [(1, "1 effect is "), (3, "3 effects are "), (4, "4 effects are ")])
def test_many_surprises_are_counted_and_the_first_of_them_named(count: int, told: str) -> None:
    """An upgrade of a thousand files must not fill the terminal, and must not look like three."""
    what = judged(*(effect(f"file:/srv/{number}", expected=False) for number in range(count))).reasons[0].what
    assert what.startswith(told)
    assert what.count("file:/srv/") == min(count, 3)
    assert what.endswith(" …") is (count > 3)


CONTEXTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "failed": st.none() | st.integers(0, 255),
        "accept": st.sampled_from([None, DIGEST, OTHER]),
        "checks": st.sampled_from(
            [(), *(checked(before, then) for before in (HEALTHY, UNHEALTHY) for then in (HEALTHY, UNHEALTHY))]
        ),
        "obstacles": st.sampled_from([(), ("/a is immutable",)]),
    }
)


@given(st.sampled_from([(), (EFFECT,), (EXPECTED,), (SURPRISE,), (EXPECTED, SURPRISE)]), CONTEXTS)
def test_yes_answers_questions_and_nothing_else(effects: tuple[Effect, ...], context: dict[str, Any]) -> None:
    """Whatever comes together: --yes turns "ask" into "allow", and leaves every refusal a refusal."""
    without, with_yes = judged(*effects, **context), judged(*effects, yes=True, **context)
    assert with_yes.decision == (ALLOW if without.decision == ASK else without.decision)
    if without.decision == ASK:
        assert {reason.what for reason in with_yes.reasons} <= {reason.what for reason in without.reasons}
    else:
        assert with_yes.reasons == without.reasons


@given(st.sampled_from([(EFFECT,), (EXPECTED,), (SURPRISE,)]), CONTEXTS)
def test_every_reason_says_what_happened_the_state_and_the_next_command(
    effects: tuple[Effect, ...], context: dict[str, Any]
) -> None:
    """Law 7: a no without a way on sends people around the tool. A rehearsal changed nothing, and says so."""
    verdict = judged(*effects, **context)
    assert all(reason.what and reason.next and reason.state == "Nothing was changed." for reason in verdict.reasons)
    assert bool(verdict.reasons) or verdict.decision == ALLOW


def test_a_verdict_tells_its_decision_and_its_reasons_in_a_document() -> None:
    """CI jobs read these words (`backout.effects/1`)."""
    told = Verdict(ASK, (Reason("a", "b", "c"),)).document()
    assert told == {"decision": "ask", "reasons": [{"what": "a", "state": "b", "next": "c"}]}


@pytest.mark.parametrize("decision", [ALLOW, ASK, REFUSE])
def test_a_guard_only_ever_refuses_and_hides_no_other_refusal(decision: str) -> None:
    """What a guard has nothing against is judged as before; what it refuses is refused, `--yes` or not."""
    verdict, reason = Verdict(decision, (Reason("before"),)), Reason("a guard")
    assert refused(verdict, []) == verdict
    held = refused(verdict, [reason])
    assert held == Verdict(REFUSE, (*verdict.reasons, reason) if decision == REFUSE else (reason,))
