"""The rules that guards have: what each refuses, what it lets through, and what it says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.model import rules
from backout.model.convert import WantedError
from backout.model.effect import Effect
from backout.model.guard import Answer, Guard, Known, Moment
from backout.model.rules import judge, lacking, rule, window
from backout.model.rules.max_jump import major
from backout.model.selector import parse_selector
from backout.model.verdict import Reason
from kit.values import effect

CONF = effect("file:/srv/shop/gunicorn.conf.py")
FLASK = effect("python-package:/srv/venv:flask", before="2.2.5", after="3.1.0")
NGINX = effect("debian-package:nginx", before="1:1.18.0-6", after="1:1.22.1-9")
DOCUMENT: dict[str, Any] = {"schema": "backout.effects/1"}


def guard(name: str, **settings: Any) -> Guard:
    """A guard of a rule, its settings read as from a file."""
    keys = rule(name).KEYS
    read = {key: told.read(settings[key]) if key in settings else told.default for key, told in keys.items()}
    return Guard(name, name, "it went wrong once", settings=read)


def whats(one: Guard, known: Known) -> list[str]:
    """What a guard says, without its name and its reason."""
    told = [reason.what for reason in judge(one, known)]
    assert all(what.startswith(f"Guard {one.name}: ") for what in told)
    assert all(what.endswith(" It guards because of: it went wrong once") for what in told)
    return [what.removeprefix(f"Guard {one.name}: ").partition(" It guards because")[0] for what in told]


def settings_of(name: str) -> dict[str, Any]:
    """Settings with which a guard of the rule can be made."""
    needed: dict[str, dict[str, Any]] = {
        "max-effects": {"most": {"*": 0}},
        "forbid": {"what": ["*:*"]},
        "command": {"run": "true"},
        "window": {"hours": "09:00-17:00"},
    }
    return needed.get(name, {})


@pytest.mark.parametrize("name", rules.names())
def test_what_cannot_be_judged_is_refused_and_says_so(name: str) -> None:
    """Law 7: a guard that lets through what it knows nothing of guards on good days only."""
    one, known = guard(name, **settings_of(name)), Known([CONF, FLASK])
    assert lacking(one, known) == list(rule(name).NEEDS)
    told = [reason.what for reason in judge(one, known)]
    assert len(told) >= len(rule(name).NEEDS)
    assert all("it cannot be judged, because it is not known" in what for what in told[: len(rule(name).NEEDS)])


def test_why_it_cannot_be_judged_is_said_with_the_way_on() -> None:
    """Law 7: who is refused has to know what would bring it."""
    lacks = {"incidents": Reason("The journal is damaged.", next="backout doctor")}
    (reason,) = judge(guard("no-open-incident"), Known([CONF], lacks=lacks))
    assert "it is not known which incidents are open. The journal is damaged. It guards" in reason.what
    assert reason.next == "backout doctor"


def test_a_guard_that_may_be_passed_says_how_and_no_other_does() -> None:
    """Whoever is in a hurry must not have to look for it, nor try it in vain."""
    one = guard("forbid", what=["file:*"])
    assert "--override" not in judge(one, Known([CONF]))[0].next
    assert "--override forbid --why TEXT" in judge(one._replace(override=True), Known([CONF]))[0].next


def test_what_looks_like_a_secret_is_not_in_a_reason() -> None:
    """Reasons are recorded, and a record is for ever."""
    refusing = Known([CONF], answers={"command": Answer(refuses=True, text="password=hunter2 is weak.")})
    assert "hunter2" not in judge(guard("command", run="x"), refusing)[0].what


def test_expected_only_refuses_surprises_and_without_an_expectation_all() -> None:
    """Without --expect there are only effects; then nobody asked for any of them."""
    one = guard("expected-only")
    asked, surprise = CONF._replace(expected=True), FLASK._replace(expected=False)
    assert whats(one, Known([asked], document=DOCUMENT)) == []
    assert whats(one, Known([asked, surprise], document=DOCUMENT)) == [
        "no --expect covers 1 of 2 effects: python-package:/srv/venv:flask."
    ]
    assert len(whats(one, Known([CONF], document=DOCUMENT))) == 1


def test_max_effects_counts_by_kind_and_all_together() -> None:
    """The story: one setting, and 45 packages with it."""
    packages = [FLASK._replace(subject=f"/srv/venv:p{number}") for number in range(6)]
    one = guard("max-effects", most={"python-package": 5, "*": 100})
    assert whats(one, Known(packages[:5])) == []
    (told,) = whats(one, Known(packages))
    assert told.startswith("6 python-package effects, where 5 are allowed: python-package:/srv/venv:p0, ")
    assert whats(guard("max-effects", most={"*": 2}), Known([CONF, FLASK, NGINX]))[0].startswith("3 effects, where 2")
    assert whats(guard("max-effects", most={"user": 0}), Known([CONF])) == []


@pytest.mark.parametrize("value", [{}, 5, {"package": 1}, {"file": -1}, {"file": True}, {"file": "5"}])
def test_numbers_of_effects_that_make_no_sense_are_not_taken(value: object) -> None:
    """A guard whose limit is not what was meant is worse than none."""
    with pytest.raises(WantedError):
        rule("max-effects").KEYS["most"].read(value)


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("65.5.0", (0, 65)),
        ("1!2.0", (1, 2)),
        ("v3", (0, 3)),
        ("2:8.39-13", (2, 8)),
        ("5.15.0-91", (0, 5)),
        ("20240101", (0, 20240101)),
        ("unknown", None),
        ("", None),
        (None, None),
        ("9" * 5000, None),
    ],
)
def test_the_major_version_is_the_first_number_and_an_epoch_goes_before_it(
    version: object, found: tuple[int, int] | None
) -> None:
    """PEP 440 writes 1!2.0 and Debian 1:2.0: an epoch that moved is a jump, whatever the number."""
    assert major(version) == found


def test_a_package_that_crosses_a_major_version_is_refused_unless_it_is_asked_for_by_name() -> None:
    """`python-package:*` asks for whatever comes: that was the mistake of the story."""
    one = guard("max-jump")
    assert whats(one, Known([FLASK], expect=())) == ["a package crosses a major version: flask 2.2.5 -> 3.1.0."]
    for text in ("python-package:*", "python-package:/srv/venv:*", "*:*", "python-package:fl?sk", "file:flask"):
        assert len(whats(one, Known([FLASK], expect=[parse_selector(text)]))) == 1, text
    for text in ("python-package:Flask", "python-package:/srv/*:flask"):
        assert whats(one, Known([FLASK], expect=[parse_selector(text)])) == [], text
    assert "--expect 'python-package:flask'" in judge(one, Known([FLASK], expect=()))[0].next


@pytest.mark.parametrize(
    "one",
    [
        FLASK._replace(after="2.9"),
        FLASK._replace(before=None),
        FLASK._replace(after=None),
        NGINX,
        CONF._replace(before="1", after="2"),
    ],
)
def test_what_stays_within_its_major_version_comes_or_goes_is_let_through(one: Effect) -> None:
    """A jump is from one major version to another; a package that is new jumped from nowhere."""
    assert whats(guard("max-jump"), Known([one], expect=())) == []


def test_a_jump_back_an_epoch_and_a_version_without_a_number_are_jumps() -> None:
    """65 to 58 breaks what 58 to 65 breaks; and of what cannot be read nobody knows."""
    for one in (FLASK._replace(after="1.0"), FLASK._replace(after="1!2.2.5"), FLASK._replace(before="x", after="x")):
        assert len(whats(guard("max-jump"), Known([one], expect=()))) == 1
    assert whats(guard("max-jump", what=["debian-package:*"]), Known([FLASK], expect=())) == []


def test_checked_refuses_only_where_neither_a_person_nor_a_check_looks() -> None:
    """An unattended change without a check is noticed by the client."""
    one = guard("checked")
    assert whats(one, Known([CONF], "staging", asked=False, checks=0)) == ["nobody is asked, and staging has no check."]
    assert "without an environment there is no check" in whats(one, Known([CONF], asked=False, checks=0))[0]
    for asked, checks in ((True, 0), (False, 1)):
        assert whats(one, Known([CONF], "staging", asked=asked, checks=checks)) == []


def test_reversible_refuses_what_back_would_not_undo() -> None:
    """`--after` runs live, and nothing takes it back."""
    one = guard("reversible")
    assert whats(one, Known([CONF], document=DOCUMENT)) == []
    assert whats(one, Known([CONF._replace(reversible=False)], document=DOCUMENT)) == [
        "1 effect cannot be taken back: file:/srv/shop/gunicorn.conf.py."
    ]
    (told,) = whats(one, Known([CONF], document=DOCUMENT, after="systemctl reload nginx"))
    assert told == "a command runs live after the apply, and nothing takes it back."


def test_forbid_refuses_what_matches() -> None:
    """The one file that nobody touches by hand."""
    one = guard("forbid", what=["file:/etc/*", "user:*"])
    assert whats(one, Known([CONF])) == []
    assert whats(one, Known([CONF, effect("user:root")])) == ["1 effect on what is forbidden: user:root."]
    with pytest.raises(WantedError):
        rule("forbid").KEYS["what"].read(["certificate:*"])


def test_no_open_incident_looks_elsewhere_alone() -> None:
    """Whoever repairs the site that is down is not to be stopped by the incident that says so."""
    one = guard("no-open-incident")
    assert whats(one, Known([CONF], "staging", incidents={"production": ["i1", "i2"]})) == [
        "an incident is open: i1, i2 on production."
    ]
    for environment, ids in (("staging", ["i1"]), ("production", [])):
        assert whats(one, Known([CONF], "staging", incidents={environment: ids})) == []


def test_a_program_decides_and_one_that_was_not_asked_let_nothing_through() -> None:
    """Whatever is not an answer is a refusal."""
    one = guard("command", run="policy")
    assert whats(one, Known([CONF], answers={"command": Answer(refuses=False, text="fine")})) == []
    assert whats(one, Known([CONF], answers={"command": Answer(refuses=True, text="No.")})) == ["No."]
    assert whats(one, Known([CONF], answers={"other": Answer(refuses=False)})) == ["its program was not asked."]


@pytest.mark.parametrize(
    ("hours", "days", "day", "minute", "is_open"),
    [
        ("09:00-17:00", ["mon-fri"], 0, 9 * 60, True),
        ("09:00-17:00", ["mon-fri"], 0, 9 * 60 - 1, False),
        ("09:00-17:00", ["mon-fri"], 4, 17 * 60 - 1, True),
        ("09:00-17:00", ["mon-fri"], 4, 17 * 60, False),
        ("09:00-17:00", ["mon-fri"], 5, 12 * 60, False),
        ("22:00-04:00", ["sun"], 6, 23 * 60, True),
        ("22:00-04:00", ["sun"], 0, 3 * 60 + 59, True),  # into Monday, and so over the end of the week
        ("22:00-04:00", ["sun"], 0, 4 * 60, False),
        ("22:00-04:00", ["sun"], 6, 60, False),
        ("00:00-24:00", ["sat-mon"], 6, 0, True),
        ("00:00-24:00", ["sat-mon"], 0, 24 * 60 - 1, True),
        ("00:00-24:00", ["sat-mon"], 1, 0, False),
        ("00:00-24:00", ["Wed"], 2, 0, True),
    ],
)
def test_a_window_is_open_at_its_minutes_and_at_no_other(
    hours: str, days: list[str], day: int, minute: int, is_open: bool
) -> None:
    """The end is not part of it; what goes over midnight belongs to the day on which it begins."""
    one = guard("window", hours=hours, days=days)
    told = whats(one, Known([CONF], moments={"UTC": Moment(day, minute, "now")}))
    assert (told == []) == is_open


@given(st.integers(0, 1439), st.integers(1, 1440), st.sets(st.sampled_from(window.DAYS), min_size=1))
def test_a_window_has_as_many_minutes_as_its_hours_and_days_say(begin: int, end: int, days: set[str]) -> None:
    """However it lies over midnight and the end of the week, no minute is lost, and none is there twice."""
    if begin == end:
        return
    text = f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    length = end - begin if begin < end else end + 1440 - begin
    minutes = window.minutes(guard("window", hours=text, days=sorted(days)))
    assert bin(minutes).count("1") == length * len(days)
    assert minutes < 1 << window.WEEK


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("hours", value) for value in ("9-17", "09:00-09:00", "24:00-25:00", "09:00-24:30", 9, "09:00-17:60")),
        *(("days", value) for value in ([], ["monday"], ["mon-"], "mon", [1], ["-fri"])),
    ],
)
def test_hours_and_days_that_are_none_are_not_taken(key: str, value: object) -> None:
    """A window that is not what was meant refuses on the wrong day."""
    with pytest.raises(WantedError):
        rule("window").KEYS[key].read(value)


def test_a_closed_window_says_when_it_is_open_and_where() -> None:
    """Twelve o'clock is another moment in Berlin."""
    one = guard("window", hours="09:00-17:00", days=["mon-thu"], zone="Europe/Berlin")
    (told,) = whats(one, Known([CONF], moments={"Europe/Berlin": Moment(4, 720, "Fri 2026-11-27 12:00")}))
    assert told == "it is Fri 2026-11-27 12:00 in Europe/Berlin, outside of mon, tue, wed, thu 09:00-17:00."
    assert "not known what time it is" in whats(one, Known([CONF], moments={"UTC": Moment(0, 600, "")}))[0]
