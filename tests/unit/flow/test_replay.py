"""What was known of a change when it was made, from what the record has of it."""

from __future__ import annotations

from typing import Any

import pytest

from backout.flow.replay import _asked, _expected
from backout.model.selector import Selector

NONE, SOME = {"effects": [{"expected": None}]}, {"effects": [{"expected": True}]}
MOTD = Selector("file", "/etc/motd")


@pytest.mark.parametrize(
    ("body", "document", "expected"),
    [
        ({"expect": ["file:/etc/motd"]}, None, [MOTD]),
        ({"expect": []}, SOME, []),
        ({"rollout": {"expect": ["file:/etc/motd"]}}, None, [MOTD]),
        ({}, NONE, []),
        ({}, SOME, None),
        ({}, {"effects": []}, None),
        ({}, None, None),
        ({"expect": ["nonsense"]}, NONE, None),
    ],
)
def test_what_was_expected_is_told_as_far_as_it_was_recorded(body: Any, document: Any, expected: Any) -> None:
    """An older change says only whether anything was; that nothing was is all that there is to know then."""
    assert _expected(body, document) == expected


@pytest.mark.parametrize(
    ("body", "asked"),
    [({"asked": True}, True), ({"asked": False}, False), ({}, None), ({"checks": [{"name": "c"}]}, False)],
)
def test_whether_anybody_was_asked_is_needed_only_where_there_was_no_check(body: Any, asked: bool | None) -> None:
    """`checked` is content with either: a change of before that was recorded can still be judged by its checks."""
    assert _asked(body) is asked
