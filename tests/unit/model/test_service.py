"""Requests to the service manager: which wait until the files are applied."""

from __future__ import annotations

import pytest

from backout.model.service import LIVE_ACTIONS, ServiceRequest, ServiceState


@pytest.mark.parametrize("action", ["start", "stop", "restart", "reload", "try-restart", "kill"])
def test_what_acts_on_processes_is_recorded_in_a_rehearsal_and_done_after_the_apply(action: str) -> None:
    """A rehearsal that restarted the live service would not be one (law 1)."""
    assert action in LIVE_ACTIONS


@pytest.mark.parametrize("action", ["enable", "disable", "mask", "unmask", "preset", "status", "is-active"])
def test_what_writes_files_or_only_looks_is_not_put_off(action: str) -> None:
    """Its links belong to the rehearsed view, where the scan sees them; put off, they would be applied unseen."""
    assert action not in LIVE_ACTIONS


def test_what_nobody_knows_of_a_unit_is_neither_running_nor_stopped() -> None:
    """A back-out puts recorded states back: a guess of "stopped" would stop what had run all along."""
    assert ServiceState() == (None, None)
    assert ServiceState(enabled=False) != ServiceState()


def test_two_requests_are_the_same_only_for_the_same_unit() -> None:
    """Requests that came twice are made once; a restart of another service is another request."""
    assert len({ServiceRequest("restart", unit) for unit in ("shop.service", "shop.service", "db.service")}) == 2
