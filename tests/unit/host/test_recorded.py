"""A recorded change as trials read it: what has no bits, and what services of a part of it are asked."""

from __future__ import annotations

from typing import Any

import pytest

from backout.errors import BackoutError
from backout.host.recorded import again, require_bits
from backout.model.ledger import APPLIED, KEPT, REFUSED, UNDONE, Change
from backout.model.step import Service

RUNS, RUNS_NOT = {"enabled": True, "active": True}, {"enabled": True, "active": False}


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"state": KEPT, "body": {"adopted": True}}, 2, "drift that was adopted"),
        ({"state": REFUSED, "expired": True}, 2, "gc let its bits go"),
        ({"state": APPLIED}, 3, "half-way"),
    ],
)
def test_what_cannot_be_tried_is_said_with_its_reason(fields: dict[str, Any], code: int, said: str) -> None:
    """A trial of nothing would pass, and the wrong part be found."""
    change = Change(**{"id": "c", "at": 0.0, "body": {}, **fields})
    with pytest.raises(BackoutError, match=said) as caught:
        require_bits(change)
    assert caught.value.exit_code == code


@pytest.mark.parametrize("state", [KEPT, REFUSED, UNDONE])
def test_what_is_settled_can_be_tried(state: str) -> None:
    """Whatever became of it, its bits are there."""
    require_bits(Change("c", state, 0.0, {}))


@pytest.mark.parametrize(
    ("requests", "before", "there", "asked"),
    [
        (("restart",), RUNS, True, ("restart",)),
        (("restart",), RUNS, False, ("restart",)),
        (("stop",), RUNS, False, ("start",)),
        (("stop",), RUNS, True, ()),
        (("start",), RUNS_NOT, False, ("stop",)),
        (("start",), RUNS_NOT, True, ()),
        (("start", "stop"), RUNS_NOT, False, ()),
        (("reload",), RUNS, True, ("reload",)),
    ],
)
def test_a_service_of_a_change_that_stands_uses_the_other_files_or_is_as_it_was(
    requests: tuple[str, ...], before: dict[str, Any], there: bool, asked: tuple[str, ...]
) -> None:
    """When a part is taken out of what stands, what runs has the old files still open."""
    assert again(Service("shop.service", requests, before, {}), there=there) == asked


def test_the_manager_reads_its_files_again() -> None:
    """A unit file may be what is taken out."""
    assert again(Service("", ("daemon-reload",), {}, {}), there=False) == ("daemon-reload",)
