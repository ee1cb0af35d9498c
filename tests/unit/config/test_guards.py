"""`[[guards]]` is read exactly, or refused with the place and the way on."""

from __future__ import annotations

import pytest

from backout.config.parse import parse
from backout.errors import ConfigError
from backout.model.guard import Guard
from backout.model.selector import parse_selector

ENVIRONMENTS = '[environments.production]\nhosts = ["web1"]\n[environments.staging]\nhosts = ["web2"]\n'


def guards(text: str) -> tuple[Guard, ...]:
    """The guards of a file with two environments."""
    return parse(ENVIRONMENTS + text, "backout.toml").guards


def refusal(text: str) -> str:
    """The message, and what to do next, of the refusal that this text must meet."""
    with pytest.raises(ConfigError) as refused:
        guards(text)
    assert refused.value.exit_code == 2
    assert refused.value.what.startswith("backout.toml:")
    return f"{refused.value.what} {refused.value.next}".strip()


def window(name: str, hours: str, more: str = "") -> str:
    """A guard with a window."""
    return f'[[guards]]\nname = "{name}"\nrule = "window"\nwhy = "x"\nhours = "{hours}"\n{more}\n'


def test_every_key_of_a_guard_is_read() -> None:
    """The guide promises them."""
    (guard,) = guards(
        '[[guards]]\nname = "few-packages"\nrule = "max-effects"\nwhy = "45 came at once"\n'
        'environments = ["production"]\nsays = "Large updates are made on Mondays."\nowner = "ops"\n'
        'review_by = 2027-01-31\nincident = "20261123-1"\noverride = true\nmost = { python-package = 5, "*" = 100 }\n'
    )
    assert guard == Guard(
        "few-packages",
        "max-effects",
        "45 came at once",
        environments=("production",),
        says="Large updates are made on Mondays.",
        owner="ops",
        review_by="2027-01-31",
        incident="20261123-1",
        override=True,
        settings={"most": {"python-package": 5, "*": 100}},
    )
    assert [guard.judges(name) for name in ("production", "staging", None)] == [True, False, False]


def test_what_is_not_said_has_its_default_and_the_name_is_that_of_the_rule() -> None:
    """Two lines are a guard; it judges every environment, and what belongs to none."""
    jump, command, pinned, hours = guards(
        '[[guards]]\nrule = "max-jump"\nwhy = "x"\n[[guards]]\nrule = "command"\nwhy = "x"\nrun = "policy"\n'
        '[[guards]]\nrule = "pinned"\nwhy = "x"\n' + window("day", "09:00-17:00")
    )
    assert jump == Guard("max-jump", "max-jump", "x", settings={"what": ()})
    assert command.settings == {"run": "policy", "within": 60.0}
    assert pinned.settings == {"requirements": ()}
    assert hours.settings == {"hours": (540, 1020), "days": (0, 1, 2, 3, 4, 5, 6), "zone": "UTC"}
    assert jump.judges(None)
    assert jump.judges("staging")
    (forbid,) = guards('[[guards]]\nrule = "forbid"\nwhy = "x"\nwhat = ["user:*"]\nreview_by = "2027-01-31"\n')
    assert forbid.settings == {"what": (parse_selector("user:*"),)}
    assert forbid.review_by == "2027-01-31"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('rule = "forbit"\nwhy = "x"', 'guards[1].rule must be a rule, not "forbit". Did you mean "forbid"?'),
        ('rule = 5\nwhy = "x"', "guards[1].rule must be a rule, not 5. Known here: checked, command, expected-only,"),
        ('why = "x"', 'guards[1] needs the key "rule". Known here: checked, command, expected-only'),
        ('rule = "reversible"', 'guards[1] needs the key "why".'),
        ('rule = "forbid"\nwhy = "x"', 'guards[1] needs the key "what".'),
        ('rule = "reversible"\nwhy = "x"\nowners = "me"', 'owners is not a known key. Did you mean "owner"?'),
        ('rule = "window"\nwhy = "x"\nmost = {}', 'guards[1].most belongs to the rule "max-effects", not to "window".'),
        ('rule = "pinned"\nwhy = "x"\nwhat = []', 'what belongs to the rule "forbid" and "max-jump", not to "pinned".'),
        ('rule = "pinned"\nwhy = "x"\nrequirements = "/a"', 'must be a list, not "/a". Write requirements = ["/a"]'),
        ('rule = "pinned"\nwhy = "x"\nrequirements = ["a"]', "must be a list in which each item is an absolute path"),
        ('rule = "forbid"\nwhy = "x"\nwhat = ["package:*"]', "each item is KIND:GLOB such as"),
        ('rule = "reversible"\nwhy = "x"\noverride = "yes"', 'override must be true or false, not "yes".'),
        ('rule = "reversible"\nwhy = "x"\nreview_by = "soon"', 'must be a date such as 2026-12-31, not "soon".'),
        ('rule = "reversible"\nwhy = "x"\nname = "two words"', "must be a name of letters, digits, dots, dashes"),
        (
            'rule = "reversible"\nwhy = "x"\nenvironments = ["producton"]',
            'environments[1] must name an environment, not "producton". Did you mean "production"?',
        ),
        ('rule = "reversible"\nwhy = "x"\nenvironments = []', "environments must be a list that is not empty"),
        ('rule = "command"\nwhy = "x"\nrun = ""', "run must be a text that is not empty"),
        ('rule = "command"\nwhy = "x"\nrun = "a"\nwithin = "0s"', "within must be a duration such as"),
        ('rule = "window"\nwhy = "x"\nhours = "nine to five"', 'hours must be hours such as "09:00-17:00"'),
    ],
)
def test_a_mistake_in_a_guard_is_named_with_its_place(lines: str, message: str) -> None:
    """A guard that is not read is one that people count on and do not have."""
    assert message in refusal(f"[[guards]]\n{lines}\n")


def test_two_guards_of_one_name_are_refused_at_the_second() -> None:
    """--override would pass another one than was meant."""
    two = (
        '[[guards]]\nname = "a"\nrule = "reversible"\nwhy = "x"\n[[guards]]\nname = "a"\nrule = "checked"\nwhy = "x"\n'
    )
    assert refusal(two).startswith('backout.toml:9: guards[2] is the second guard named "a"; a name must be unique.')
    unnamed = '[[guards]]\nrule = "forbid"\nwhy = "x"\nwhat = ["user:*"]\n' * 2
    assert 'guards[1] needs the key "name": 2 guards have the rule "forbid".' in refusal(unnamed)
    shadow = '[[guards]]\nrule = "checked"\nwhy = "x"\n[[guards]]\nname = "checked"\nrule = "reversible"\nwhy = "x"\n'
    assert 'is the second guard named "checked"' in refusal(shadow)


@pytest.mark.parametrize("zone", ["Europe/Berln", "../../etc/passwd", "", "Europe", "/etc/localtime", "+02:00"])
def test_a_time_zone_that_nobody_knows_is_refused(zone: str) -> None:
    """Hours in a zone that was misspelt would be those of another one."""
    assert "zone must be a" in refusal(window("day", "09:00-17:00", f'zone = "{zone}"'))


def test_a_time_zone_that_is_nearly_known_is_named() -> None:
    """Whoever misspells it looks for the right one."""
    assert 'Did you mean "Europe/Berlin"?' in refusal(window("day", "09:00-17:00", 'zone = "Europe/Berln"'))


def test_windows_that_leave_no_minute_of_the_week_are_refused() -> None:
    """Nothing could ever be changed there, and who needs to would learn it in the night of the trouble."""
    two = window("day", "09:00-17:00") + window("night", "17:00-09:00")
    problem = 'is never open together with "day": production has no minute of the week left.'
    assert problem in refusal(two)
    days = window("a", "09:00-17:00", 'days = ["mon"]') + window("b", "09:00-17:00", 'days = ["tue"]')
    assert "is never open together" in refusal(days)


def test_windows_that_touch_somewhere_or_elsewhere_are_let_be() -> None:
    """Only what can never be is a contradiction."""
    assert len(guards(window("day", "09:00-17:01") + window("night", "17:00-09:00"))) == 2
    apart = window("day", "09:00-17:00", 'environments = ["staging"]')
    assert len(guards(apart + window("night", "17:00-09:00", 'environments = ["production"]'))) == 2
    over = window("sunday", "22:00-04:00", 'days = ["sun"]') + window("monday", "03:00-05:00", 'days = ["mon"]')
    assert len(guards(over)) == 2


def test_windows_in_two_zones_are_held_against_each_other_as_they_lie() -> None:
    """Nine o'clock in Tokyo is one in the night in Berlin."""
    tokyo = window("tokyo", "09:00-12:00", 'zone = "Asia/Tokyo"')  # 00:00 to 03:00 UTC
    assert len(guards(tokyo + window("utc", "02:59-04:00"))) == 2
    assert "is never open together" in refusal(tokyo + window("utc", "03:00-23:59"))
    winter = window("berlin", "09:00-10:00", 'zone = "Europe/Berlin"')  # 08:00 UTC in winter, 07:00 in summer
    assert len(guards(winter + window("utc", "08:00-09:00"))) == 2
    assert len(guards(winter + window("utc", "07:00-08:00"))) == 2
