"""The report is what a person reads before saying yes: it must be true, fit, and hide nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.host.egress import WAY_OUT_LIMIT
from backout.host.network import NO_NETWORK_LIMIT
from backout.model.check import AFTER, BEFORE, HEALTHY, NOT_RUN, REHEARSAL, UNHEALTHY, CheckResult
from backout.model.effect import Effect, Noise, RawEffect, file_effect
from backout.model.state import State
from backout.model.verdict import ALLOW, ASK, REFUSE, Reason, Verdict
from backout.render.change import checks
from backout.render.effects import groups
from backout.render.layout import Laid, share
from backout.render.report import Wish, report
from backout.render.screen import Screen

WIDE = Screen(120, 200)
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def document_of(*effects: Effect, verdict: Verdict | None = None, **fields: Any) -> dict[str, Any]:
    """Give a document with these effects, on this machine, allowed unless told otherwise."""
    return {
        "schema": "backout.effects/1",
        "change": None,
        "environment": None,
        "host": "web1",
        "command": ["true"],
        "cwd": "/root",
        "exit_code": 0,
        "started_at": "2026-11-23T17:04:12Z",
        "duration_s": 1.0,
        "base": "2026-11-23T17:04:11Z",
        "digest": "sha256:" + "0" * 64,
        "effects": [effect.document() for effect in effects],
        "noise": [],
        "limits": [],
        "checks": [],
        "verdict": (verdict or Verdict(ALLOW)).document(),
        **fields,
    }


def file(path: bytes, before: State | None, after: State | None, diff: str | None = None) -> Effect:
    """Give the effect of a path."""
    return file_effect(RawEffect(path, before, after), diff)


PLAIN = State("file", 0o644, 0, 0, 10, "a" * 64)


@pytest.mark.parametrize("screen", [Screen(80, 24), Screen(120, 40), Screen(80, 24, unicode=False)])
def test_the_first_screen_holds_request_surprises_verdict_and_next(surprise: dict[str, Any], screen: Screen) -> None:
    """What scrolls away is not read; one line stays free for the prompt."""
    drawn = report(surprise, screen, Wish(next_command="backout rehearse -e production -- puppet apply"))
    lines = drawn.splitlines()
    assert len(lines) <= screen.height - 1
    assert max(map(len, lines)) <= screen.width
    assert "puppet apply /etc/puppet/manifests/shop.pp" in lines[0]
    for told in ("45 Python packages in /srv/shop/venv", "setuptools", "84.2.1", "18 major", "refused", "imports"):
        assert told in drawn
    assert re.search(r"and \d+ more \(--full\)", drawn)
    assert "backout rehearse -e production -- puppet apply" in drawn


def test_what_is_folded_is_counted_to_the_last_package(surprise: dict[str, Any]) -> None:
    """A list that ends without saying so reads like all there is."""
    drawn = report(surprise, Screen(80, 24))
    shown = drawn.count("→") - 2  # two more are in the checks
    more = re.search(r"and (\d+) more", drawn)
    assert more
    assert shown + int(more[1]) == 45


def test_full_shows_every_package_the_diff_and_the_whole_output(surprise: dict[str, Any]) -> None:
    """`--full` is the promise that makes folding honest."""
    drawn = report(surprise, Screen(80, 24), Wish(full=True))
    for effect in surprise["effects"]:
        assert effect["subject"].rpartition(":")[2] in drawn
    assert "+workers = 4" in drawn
    assert "Traceback (most recent call last):" in drawn
    assert "more (--full)" not in drawn


def test_surprises_come_before_what_was_expected(surprise: dict[str, Any]) -> None:
    """The one line that was asked for must not stand before the 45 that were not."""
    drawn = report(surprise, WIDE)
    assert (
        drawn.index("Surprises") < drawn.index("setuptools") < drawn.index("Expected") < drawn.index("gunicorn.conf.py")
    )


def test_without_colour_there_is_no_escape_and_with_it_the_words_are_the_same(surprise: dict[str, Any]) -> None:
    """Colour may only repeat what the words say."""
    plain = report(surprise, Screen(80, 24, color=False))
    colored = report(surprise, Screen(80, 24, color=True))
    assert "\x1b" not in plain
    assert "\x1b[1;31mSurprises" in colored
    stripped = [line.rstrip() for line in ESCAPE.sub("", colored).splitlines()]
    assert stripped == plain.splitlines()


@pytest.mark.parametrize(
    ("decision", "words"),
    [(ALLOW, "\x1b[1;32mallowed"), (ASK, "\x1b[1;33myours to decide"), (REFUSE, "\x1b[1;31mrefused")],
)
def test_the_decision_is_green_yellow_or_red(decision: str, words: str) -> None:
    """The one colour that a hurried reader looks for."""
    drawn = report(document_of(verdict=Verdict(decision, (Reason("Why."),))), Screen(color=True))
    assert words in drawn
    assert "Why." in drawn
    assert "Nothing was changed." in drawn


def test_every_reason_is_told_with_what_to_do_next() -> None:
    """Law 7: refuse with reasons, and never cut a command that is to be copied."""
    accept = "sha256:" + "7" * 64
    reasons = (Reason("One thing.", next="Do this."), Reason("Another.", next=f"Give --accept {accept}."))
    drawn = report(document_of(verdict=Verdict(ASK, reasons)), Screen(60, 24))
    assert "One thing." in drawn
    assert "Another." in drawn
    assert accept in drawn


def test_no_effect_is_said_in_words() -> None:
    """An empty report could be a broken one."""
    assert "none: nothing would be changed" in report(document_of(), Screen())


def test_hostile_names_stay_on_their_line() -> None:
    """A file name must not add a line, move the cursor or look like our verdict."""
    paths = (b"/tmp/a\nVerdict    allowed", b"/tmp/\x1b[2J", b"/tmp/\xff")
    effects = [file(path, None, PLAIN) for path in paths]
    drawn = report(document_of(*effects, command=["rm", "a\nb"], cwd="/tmp/\x1b[1m"), WIDE, Wish(full=True))
    assert r"$'/tmp/a\nVerdict    allowed'" in drawn
    assert r"$'/tmp/\e[2J'" in drawn
    assert r"$'/tmp/\xff'" in drawn
    assert r"rm $'a\nb'" in drawn
    assert "\x1b" not in drawn
    assert drawn.encode()


def test_many_files_are_counted_by_folder_and_listed_in_full() -> None:
    """Four hundred lines of /usr/share/doc hide the one in /etc."""
    effects = [file(f"/usr/share/doc/nginx/{n}".encode(), None, PLAIN) for n in range(40)]
    effects.append(file(b"/etc/nginx.conf", PLAIN, PLAIN._replace(mode=0o600)))
    folded = report(document_of(*effects), WIDE)
    assert re.search(r"/usr/share/doc/nginx/ +40 added", folded)
    assert re.search(r"/etc/ +1 edited +nginx.conf", folded)
    full = report(document_of(*effects), WIDE, Wish(full=True))
    assert "/usr/share/doc/nginx/39" in full
    assert "mode 0644 → 0600" in full


def test_each_kind_is_told_in_its_own_words() -> None:
    """A dictionary dumped on the screen is not an answer."""
    link = State("symlink", 0o777, 0, 0, target=b"/srv/v1")
    drawn = report(
        document_of(
            Effect(
                "service",
                "nginx.service",
                "requested",
                {"enabled": False, "active": True},
                {"enabled": True, "active": True, "requests": ["enable", "restart"]},
                predicted=True,
            ),
            Effect("debian-package", "nginx", "removed", "1.22.1-9", None),
            Effect("python-package", "/srv/venv:flask", "edited", "3.0", "3.0"),
            Effect("user", "deploy", "added", None, {"uid": 0, "gecos": "", "shell": "/bin/bash"}),
            Effect("group", "www", "edited", {"gid": 33, "members": []}, {"gid": 33, "members": ["deploy"]}),
            Effect("cron", "/etc/crontab:0 3 * * * root x", "added", None, "0 3 * * * root x", reversible=False),
            Effect("config", "/etc/app.ini#main.workers", "edited", "2", "4"),
            Effect("flag", "thing", "edited", 1, {"a": 2}),
            file(b"/srv/current", link, link._replace(target=b"/srv/v2")),
        ),
        WIDE,
    )
    for told in (
        "nginx.service enable, restart disabled → enabled",
        "- nginx 1.22.1-9 removed",
        "flask 3.0 → 3.0, other files",
        "+ deploy uid 0, shell /bin/bash",
        '~ www members [] → ["deploy"]',
        "+ /etc/crontab 0 3 * * * root x",
        "1 cannot be taken back",
        "1 setting in /etc/app.ini  ~ main.workers 2 → 4",
        'thing 1 → {"a": 2}',
        "~ /srv/current /srv/v1 → /srv/v2",
    ):
        assert told in drawn


def test_effects_are_named_by_reach() -> None:
    """A service restarts for everybody; a file may matter to nobody."""
    effects = [
        file(b"/a", None, PLAIN),
        Effect("config", "/c#k", "edited", "1", "2"),
        Effect("service", "s", "requested", {}, {}),
    ]
    drawn = report(document_of(*effects), WIDE)
    assert drawn.index("1 service") < drawn.index("1 setting") < drawn.index("1 file")


def test_noise_is_counted_and_listed_on_request() -> None:
    """Law 2: folded away is not gone."""
    noise = [Noise("byte-code", b"/x/a.pyc", "added"), Noise("logs", b"/var/log/x", "edited")]
    document = document_of(noise=[entry.document() for entry in noise])
    folded = report(document, WIDE)
    assert "2 paths folded away (--noise): byte-code 1, logs 1" in folded
    assert "/x/a.pyc" not in folded
    one = report({**document, "noise": document["noise"][1:]}, WIDE)
    assert "1 path folded away (--noise): logs\n" in one
    listed = report(document, WIDE, Wish(noise=True))
    assert "+ /x/a.pyc  byte-code" in listed
    assert "~ /var/log/x  logs" in listed


def test_checks_are_told_as_before_to_after_with_what_they_said() -> None:
    """Green to red is the one thing that refuses; its reason is the next thing looked at."""
    results = [
        CheckResult("fine", BEFORE, HEALTHY),
        CheckResult("fine", AFTER, NOT_RUN),
        CheckResult("answers", BEFORE, HEALTHY),
        CheckResult("answers", AFTER, UNHEALTHY, "first\nlast line\n"),
    ]
    drawn = report(document_of(checks=[result._asdict() for result in results]), WIDE)
    assert re.search(r"Checks +answers +healthy → unhealthy +last line\n +fine +healthy → not run", drawn)


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("503 Service Unavailable\n<html>\n</html>\n", "503 Service Unavailable"),
        ("Exit code 1.\nTraceback\nImportError: x\n\n \n", "ImportError: x"),
        ("Exit code 1.", "Exit code 1."),
        ("Exit code 1.\n404 pages are missing\nlook there", "look there"),
        ("http://x/: TimeoutError: y\n\nThe application said:\nno module", "no module"),
    ],
)
def test_the_most_telling_line_stands_beside_a_check(output: str, line: str) -> None:
    """`</html>` and `Exit code 1.` are the last lines of half of all failures, and say nothing about any."""
    results = [CheckResult("it", BEFORE, HEALTHY), CheckResult("it", AFTER, UNHEALTHY, output)]
    documents = [result._asdict() for result in results]
    assert f"healthy → unhealthy  {line}\n" in report(document_of(checks=documents), WIDE)
    assert f"unhealthy  after  {line}\n" in checks(documents, WIDE)
    full = report(document_of(checks=documents), WIDE, Wish(full=True))
    assert all(said in full for said in output.split("\n"))


def test_a_check_that_became_healthy_says_nothing_of_its_trouble_before() -> None:
    """An old `Exit code 1.` beside `unhealthy → healthy` reads as if the change had failed."""
    results = [
        CheckResult("mended", BEFORE, UNHEALTHY, "Exit code 1.\nold trouble"),
        CheckResult("mended", AFTER, HEALTHY, "fine"),
        CheckResult("down", BEFORE, UNHEALTHY, "Exit code 1.\nstill down"),
        CheckResult("down", REHEARSAL, NOT_RUN, "no rehearsal"),
    ]
    for wish in (Wish(), Wish(full=True)):
        drawn = report(document_of(checks=[result._asdict() for result in results]), WIDE, wish)
        assert "old trouble" not in drawn
        assert "still down" in drawn


def test_limits_are_never_silent(surprise: dict[str, Any]) -> None:
    """Law 1: what cannot be observed is listed; on a small screen, counted."""
    assert "2 limits" in report(surprise, Screen(80, 24))
    for limit in surprise["limits"]:
        assert limit in report(surprise, WIDE)


def test_a_screen_too_small_for_all_groups_counts_the_rest() -> None:
    """Thirty configuration files on 24 lines: nothing may fall off unseen."""
    effects = [Effect("config", f"/etc/{n}.ini#{key}", "edited", "1", "2") for n in range(30) for key in "ab"]
    drawn = report(document_of(*effects), Screen(80, 24))
    titles = drawn.count("2 settings in")
    more = re.search(r"(\d+) more \(--full\)", drawn)
    assert more
    assert 2 * titles + int(more[1]) == 60
    assert len(drawn.splitlines()) <= 23


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(1, 80))
def test_lines_are_shared_out_without_excess_or_starving(wanted: list[int], lines: int) -> None:
    """No group gets more than it wants or grows while another is empty; all together keep to the screen."""
    given_lines = share(wanted, lines)
    assert all(0 <= got <= want for got, want in zip(given_lines, wanted, strict=True))
    assert sum(given_lines) + (0 in given_lines) <= max(lines, 2)
    assert given_lines[0] >= 1
    if 0 in given_lines:
        assert max(given_lines) == 1
    assert sum(given_lines) == sum(wanted) or sum(given_lines) >= min(lines, len(wanted)) - 1


def backed_out(checks: list[CheckResult]) -> dict[str, Any]:
    """Give the document of a change that took itself back."""
    reason = Reason("Check 'live' is unhealthy.", "It was backed out; everything is as it was before.")
    return document_of(verdict=Verdict(REFUSE, (reason,)), checks=[result._asdict() for result in checks])


def test_a_change_that_was_applied_and_taken_back_is_not_called_refused() -> None:
    """Refused promises that nothing ran live; here, requests may have met the new files for a moment."""
    after = [CheckResult("live", BEFORE, HEALTHY), CheckResult("live", AFTER, UNHEALTHY)]
    for document in (backed_out(after), backed_out([])):
        drawn = report(document, Screen())
        assert "Verdict    backed out · It was backed out; everything" in drawn
        assert max(map(len, drawn.splitlines())) <= 80
    refused = Verdict(REFUSE, (Reason("Surprise."),))
    before = [CheckResult("live", BEFORE, HEALTHY), CheckResult("live", REHEARSAL, UNHEALTHY)]
    drawn = report(document_of(verdict=refused, checks=[result._asdict() for result in before]), Screen())
    assert "Verdict    refused · Nothing was changed." in drawn
    assert "Verdict    backed out" in report(document_of(), Screen(), Wish(backed_out=True))


STANDING = WAY_OUT_LIMIT
LIMITS = [
    STANDING,
    NO_NETWORK_LIMIT,
    *(f"/mnt/{n} cannot be rehearsed: " + "because " * 14 + f"end{n}." for n in range(9)),
]


@pytest.mark.parametrize("height", [24, 28, 30, 34])
def test_limits_of_this_very_rehearsal_are_told_first_whole_and_the_others_counted(height: int) -> None:
    """What is said every time is read by nobody; half a sentence is no sentence."""
    told = report(document_of(limits=LIMITS), Screen(80, height)).splitlines()
    assert len(told) <= height - 1
    drawn = " ".join(" ".join(told).split())
    shown = [limit for limit in LIMITS if limit in drawn]
    more = re.search(r"and (\d+) more", drawn)
    assert more
    assert shown
    assert len(shown) + int(more[1]) == len(LIMITS)
    assert shown == LIMITS[2 : 2 + len(shown)]


def test_a_limit_that_fits_is_never_cut() -> None:
    """There is room on the screen of a small change for all of what its rehearsal could not see."""
    drawn = report(document_of(limits=[STANDING, LIMITS[2]]), Screen(80, 24))
    assert "…" not in drawn
    assert LIMITS[2] in " ".join(drawn.split())
    assert drawn.index("/mnt/0") < drawn.index("http_proxy")
    assert "more (--full)" not in report(document_of(limits=LIMITS), Screen(80, 24), Wish(full=True))


def test_no_line_says_that_something_is_left_out_which_would_fit_in_its_place() -> None:
    """A line that counts one row hides it for nothing."""
    for settings in range(2, 9):
        for others in range(1, 9):
            effects = [Effect("config", f"/etc/a.ini#{key}", "edited", "1", "2") for key in range(settings)]
            effects += [
                Effect("config", f"/etc/{n}.ini#{key}", "edited", "1", "2") for n in range(others) for key in "ab"
            ]
            drawn = report(document_of(*effects), Screen(80, 24))
            assert "and 1 more" not in drawn
            assert not re.search(r"2 settings in /etc/\d.ini\n +… and 2 more", drawn)
    reasons = tuple(Reason(f"Reason {n}.") for n in range(5))
    assert "Reason 4." in report(document_of(verdict=Verdict(REFUSE, reasons)), WIDE)


def test_a_row_left_over_is_shown_where_it_would_be_counted() -> None:
    """Rows of uneven width: the last one stood alone behind those side by side, and was counted in its own place."""
    effects = [Effect("debian-package", f"p{n}", "edited", "1.1", "1.2") for n in range(6)]
    effects.append(Effect("debian-package", "z" + "long" * 15, "edited", "1.1", "1.2"))
    group = groups([effect.document() for effect in effects], Screen(), full=False)[0]
    laid = Laid(group, Screen(80, 24), 2, 4)
    for lines in range(1, laid.height):
        drawn = "\n".join(row.plain for row in laid.rows(lines, full=False))
        assert "and 1 more" not in drawn


def test_one_group_that_is_left_out_keeps_its_title() -> None:
    """The title takes the line of the count, and says more."""
    effects = [Effect("config", f"/etc/{n}.ini#k", "edited", "1", "2", expected=n == 9) for n in range(10)]
    for height in range(14, 24):
        drawn = report(document_of(*effects), Screen(80, height))
        assert not re.search(r"\b1 more \(--full\)", drawn), drawn


def test_one_very_long_path_does_not_push_all_others_aside() -> None:
    """In --full nothing is cut; what stands beside a short name must stay on the screen."""
    names = ("/etc/a", "/etc/longer", "/srv/" + "x" * 240)
    effects = [file(name.encode(), None, PLAIN) for name in names]
    lines = report(document_of(*effects), WIDE, Wish(full=True)).splitlines()
    assert "  + /etc/a      10 B" in lines
    assert f"  + {names[2]} 10 B" in lines


def test_a_name_with_a_blank_at_its_end_is_seen_to_have_one() -> None:
    """`/etc/motd ` beside `/etc/motd` is how a file is hidden, or a script is wrong."""
    assert "$'/etc/motd '" in report(document_of(file(b"/etc/motd ", None, PLAIN)), WIDE)
