"""The drill proves something only if each of its claims can turn out to be untrue."""

from __future__ import annotations

from typing import Any

import pytest

from backout.drill import claims
from backout.drill.claims import Act, Claim
from backout.drill.samples import Sample, Seen

UP = Seen((Sample(0.0, ok=True, latency_s=0.1), Sample(1.0, ok=True, latency_s=0.1)))
DOWN_AND_UP = Seen((Sample(0.0, ok=False, latency_s=0.1), Sample(1.0, ok=True, latency_s=0.1)), ((0.5, claims.ENDED),))
DOWN = Seen((Sample(0.0, ok=False, latency_s=0.1), Sample(1.0, ok=False, latency_s=0.1)), ((0.5, claims.ENDED),))
UP_ALL_ALONG = UP._replace(events=((0.5, claims.ENDED),))
SAYS_WHY = "ModuleNotFoundError: No module named 'pkg_resources'"


def package(name: str, *, expected: bool | None = False) -> dict[str, Any]:
    """An effect on a Python package, as in `backout.effects/1`."""
    subject = f"/srv/shop/venv:{name}"
    return {
        "kind": "python-package",
        "subject": subject,
        "op": "edited",
        "before": "1",
        "after": "2",
        "expected": expected,
    }


def setting(*, expected: bool | None = True) -> dict[str, Any]:
    """The effect that the change is meant to have."""
    subject = "/srv/shop/gunicorn.conf.py"
    return {"kind": "file", "subject": subject, "op": "edited", "before": {}, "after": {}, "expected": expected}


EFFECTS = [package("setuptools"), package("flask"), setting()]
CHECKS = [{"where": "before", "result": "healthy"}, {"where": "after", "result": "unhealthy"}]


def untrue(found: tuple[Claim, ...]) -> int:
    """How many claims did not come true."""
    return sum(not claim.holds for claim in found)


def test_the_refusal_as_it_should_be_leaves_no_claim_open() -> None:
    """The happy end of act 2."""
    assert untrue(claims.of_the_refusal(3, EFFECTS, UP, untouched=True)) == 0


@pytest.mark.parametrize(
    ("code", "effects", "seen", "untouched"),
    [
        (0, EFFECTS, UP, True),
        (3, [package("flask"), setting()], UP, True),
        (3, [package("flask"), package("setuptools", expected=True), setting()], UP, True),
        (3, [package("flask"), package("setuptools")], UP, True),
        (3, [package("flask"), package("setuptools"), setting(expected=False)], UP, True),
        (3, EFFECTS, DOWN_AND_UP, True),
        (3, EFFECTS, Seen(), True),
        (3, EFFECTS, UP, False),
    ],
    ids=[
        "let through",
        "unnamed",
        "expected",
        "no setting",
        "setting surprises",
        "failed requests",
        "no load",
        "touched",
    ],
)
def test_a_refusal_that_is_none_is_told_by_exactly_one_claim(
    code: int, effects: list[dict[str, Any]], seen: Seen, untouched: bool
) -> None:
    """One thing wrong, one claim untrue: the sentence at the end names it."""
    assert untrue(claims.of_the_refusal(code, effects, seen, untouched=untouched)) == 1


def test_the_rescue_as_it_should_be_leaves_no_claim_open() -> None:
    """The happy end of act 3."""
    assert untrue(claims.of_the_rescue(4, CHECKS, DOWN_AND_UP, untouched=True)) == 0


@pytest.mark.parametrize(
    ("code", "checks", "seen", "untouched"),
    [
        (0, CHECKS, DOWN_AND_UP, True),
        (4, [*CHECKS, {"where": "rehearsal", "result": "unhealthy"}], DOWN_AND_UP, True),
        (4, CHECKS[:1], DOWN_AND_UP, True),
        (4, CHECKS, UP_ALL_ALONG, True),
        (4, CHECKS, DOWN, True),
        (4, CHECKS, DOWN_AND_UP, False),
    ],
    ids=["kept", "seen in the rehearsal", "no red check", "never down", "still down", "touched"],
)
def test_a_rescue_that_is_none_is_told_by_exactly_one_claim(
    code: int, checks: list[dict[str, Any]], seen: Seen, untouched: bool
) -> None:
    """A site that is still down, or files that are not what they were, must not pass for a rescue."""
    assert untrue(claims.of_the_rescue(code, checks, seen, untouched=untouched)) == 1


@pytest.mark.parametrize(
    ("code", "seen", "log"),
    [(4, DOWN_AND_UP, SAYS_WHY), (2, DOWN_AND_UP, "killed"), (2, DOWN, SAYS_WHY)],
    ids=["puppet failed", "down for another reason", "still down"],
)
def test_the_bare_way_is_only_the_story_when_it_broke_for_the_storys_reason(code: int, seen: Seen, log: str) -> None:
    """A site that is down because a port was taken would prove nothing about packages."""
    assert untrue(claims.of_the_bare_way(code, (0, 2), seen, log)) == 1
    assert untrue(claims.of_the_bare_way(2, (0, 2), DOWN_AND_UP, SAYS_WHY)) == 0


PART = "python-package:/srv/shop/venv:setuptools 65.5.0 -> 84.2.1"
REST = [package("flask", expected=None), setting(expected=None)]


def test_the_split_as_it_should_be_leaves_no_claim_open() -> None:
    """The happy end of act 4, and of the drill."""
    assert untrue(claims.of_the_split([PART], 0, REST, UP, at_last=("2", "2"))) == 0


@pytest.mark.parametrize(
    ("found", "code", "effects", "seen", "at_last"),
    [
        ([PART.replace("setuptools", "flask")], 0, REST, UP, ("2", "2")),
        ([f"{PART} and file:/srv/shop/gunicorn.conf.py", PART], 0, REST, UP, ("2", "2")),
        ([f"{PART} and python-package:/srv/shop/venv:gunicorn 20.1.0 -> 27.0.1"], 0, REST, UP, ("2", "2")),
        ([], 0, REST, UP, ("2", "2")),
        ([PART], 0, [*REST, package("setuptools")], UP, ("2", "2")),
        ([PART], 0, REST[:1], UP, ("2", "2")),
        ([PART], 4, REST, UP, ("2", "2")),
        ([PART], 0, REST, DOWN_AND_UP, ("2", "2")),
        ([PART], 0, REST, Seen(), ("2", "2")),
        ([PART], 0, REST, UP, ("2", "1")),
        ([PART], 0, REST, UP, ("1", "2")),
    ],
    ids=[
        "another",
        "two parts",
        "too much",
        "nothing",
        "setuptools goes in",
        "no setting",
        "backed out",
        "failed requests",
        "no load",
        "runs on the old one",
        "the old one is there",
    ],
)
def test_a_split_that_is_none_is_told_by_exactly_one_claim(
    found: list[str], code: int, effects: list[dict[str, Any]], seen: Seen, at_last: tuple[str, str]
) -> None:
    """A part that holds more than the guilty one, or a shop that goes on with its old files, must not pass."""
    assert untrue(claims.of_the_split(found, code, effects, seen, at_last=at_last)) == 1


def test_a_part_is_named_as_its_atoms() -> None:
    """Two packages that only break together are one part."""
    atom = {"kind": "file", "subject": "/srv/shop/app.py", "before": {}, "after": {}}
    assert claims.parts([{"atoms": [package("setuptools"), package("flask")]}, {"atoms": [atom]}]) == (
        "python-package:/srv/shop/venv:setuptools 1 -> 2 and python-package:/srv/shop/venv:flask 1 -> 2",
        "file:/srv/shop/app.py",
    )


def test_a_dry_run_that_named_the_packages_would_spoil_the_story() -> None:
    """Should Puppet ever learn it, the drill must say so and not go on telling people that it cannot."""
    says_little = "Exec[packages]/returns: current_value 'notrun', should be ['0'] (noop)"
    assert untrue(claims.of_the_dry_run(says_little)) == 0
    assert untrue(claims.of_the_dry_run(f"{says_little}\nsetuptools 65.5.0 -> 84.2.1")) == 1


def test_staging_shows_nothing_when_the_change_moved_its_packages() -> None:
    """Then staging is the same as production, and the story is another one."""
    assert untrue(claims.of_staging(["65.5.0"], ["84.2.1"], answers=True)) == 1
    assert untrue(claims.of_staging(["65.5.0"], ["65.5.0"], answers=True)) == 0


def test_surprises_are_named_with_the_versions_they_move_between() -> None:
    """That setuptools goes from 65 to 84 is what a person must read."""
    added = {**package("blinker"), "before": None, "op": "added"}
    assert claims.surprises([package("flask"), added, setting(), setting(expected=False)]) == (
        "python-package:/srv/shop/venv:flask 1 -> 2",
        "python-package:/srv/shop/venv:blinker none -> 2",
        "file:/srv/shop/gunicorn.conf.py (edited)",
    )


def test_an_act_names_what_did_not_come_true() -> None:
    """The sentence at the end is made of these."""
    act = Act("an act", "true", 0, UP, (Claim("one thing", holds=True), Claim("another", holds=False)))
    assert act.untrue == ("another",)


PANIC = {"changes": [{"id": "one"}]}
DOWN_S = [{"audience": None, "seconds": 9.0}, {"audience": "client", "seconds": 7.0}]
CALM = {"by": "checks", "downtime": DOWN_S}
OUTAGE = claims.Outage("one", 100.5, 107.0)
TOLD = ["[investigating] production: x", "[resolved] production: y", "[resolved] production: z"]
LETTER = "How long: 7 s\n\nData lost: none\n\nNot known yet; we review on 2026-12-01"


def test_the_incident_as_it_should_be_leaves_no_claim_open() -> None:
    """The happy end of what people do in act 3."""
    assert untrue(claims.of_the_incident(PANIC, CALM, TOLD, OUTAGE, LETTER)) == 0


@pytest.mark.parametrize(
    ("panic", "calm", "told", "letter"),
    [
        ({"changes": []}, CALM, TOLD, LETTER),
        (PANIC, {**CALM, "by": "word"}, TOLD, LETTER),
        (PANIC, {**CALM, "downtime": DOWN_S[:1]}, TOLD, LETTER),
        (PANIC, CALM, TOLD[:2], LETTER),
        (PANIC, CALM, [*TOLD, TOLD[2]], LETTER),
        (PANIC, CALM, TOLD, LETTER.replace("How", "So")),
        (PANIC, CALM, TOLD, LETTER.replace("Not known yet", "Never again")),
    ],
    ids=["unnamed", "by word", "not down", "no letter", "told twice", "no time", "promised"],
)
def test_an_incident_that_went_otherwise_is_told_by_exactly_one_claim(
    panic: dict[str, Any], calm: dict[str, Any], told: list[str], letter: str
) -> None:
    """One thing wrong, one claim untrue."""
    assert untrue(claims.of_the_incident(panic, calm, told, OUTAGE, letter)) == 1
