"""What is decided about service requests without a service manager at hand."""

from __future__ import annotations

import pytest

from backout.host.services import collapse, goes_first, split_requests
from backout.host.shims import strip_diversions
from backout.model.service import ServiceRequest
from backout.model.step import Service


def requests(text: str) -> tuple[ServiceRequest, ...]:
    """Read `action unit, action unit`."""
    return tuple(ServiceRequest(*[*words.split(), ""][:2]) for words in text.split(",") if words.strip())


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ("restart restart restart", "restart"),
        ("start stop", "stop"),
        ("stop start", "restart"),
        ("reload restart", "restart"),
        ("restart reload", "restart"),
        ("start reload", "start reload"),
        ("restart start", "restart"),
        ("restart stop", "stop"),
        ("stop start stop start", "restart"),
        ("reload reload", "reload"),
        ("kill:HUP kill:HUP kill:USR1", "kill:HUP kill:USR1"),
        ("stop try-restart", "stop try-restart"),
        ("", ""),
    ],
)
def test_requests_that_a_later_one_makes_pointless_are_left_out(asked: str, left: str) -> None:
    """A playbook that notifies a handler five times must not take the site down five times."""
    assert collapse(asked.split()) == tuple(left.split())


@pytest.mark.parametrize(
    ("asked", "before", "after"),
    [
        ("stop shop, start shop", "stop shop", "start shop"),
        ("stop shop", "stop shop", ""),
        ("restart shop", "", "restart shop"),
        ("start shop, stop shop", "", "stop shop"),
        ("stop a, stop b, daemon-reload, start b, start a", "stop a, stop b", "daemon-reload, start a, start b"),
        ("restart shop, daemon-reload", "", "daemon-reload, restart shop"),
    ],
)
def test_a_unit_is_stopped_before_its_files_are_switched_and_all_else_comes_after(
    asked: str, before: str, after: str
) -> None:
    """Traps A9: a service that a package stops before its upgrade must not run over half of the new files."""
    assert split_requests(requests(asked)) == (requests(before), requests(after))


def test_taking_back_a_start_comes_before_the_files_and_taking_back_a_restart_after() -> None:
    """Only with its files still there can a new service be stopped; only with the old ones back can one run them."""
    started = Service("new.service", ("start",), {"active": False}, {"active": False})
    restarted = Service("shop.service", ("restart",), {"active": True}, {"active": True})
    stopped = Service("shop.service", ("stop",), {"active": True}, {"active": True})
    assert [goes_first(step) for step in (started, restarted, stopped)] == [False, False, True]
    assert [goes_first(step._replace(undoing=True)) for step in (started, restarted, stopped)] == [True, False, False]


def test_only_our_lines_leave_the_diversions() -> None:
    """A diversion of the operator's that vanished would let the next upgrade overwrite their file."""
    dash = b"/bin/sh\n/bin/sh.distrib\ndash\n"
    theirs = b"/usr/bin/x\n/usr/bin/x.backout-real\nother\n/a\n/b.backout-real\n:\n"
    ours = b"/bin/systemctl\n/bin/systemctl.backout-real\n:\n"
    assert strip_diversions(dash + ours + theirs + ours) == dash + theirs
    assert strip_diversions(b"") == b""
    assert strip_diversions(b"/cut/off\n") == b"/cut/off\n"
