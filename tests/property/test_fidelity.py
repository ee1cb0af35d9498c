"""Random trees and random programs of edits: applied equals the bare run, taken back equals before (laws 2 and 3)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, assume, given, settings

from kit.fidelity import compare
from kit.programs import PROGRAMS, TREES, Step


@settings(
    max_examples=int(os.environ.get("BACKOUT_EXAMPLES", "200")),
    derandomize="BACKOUT_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(TREES, PROGRAMS)
def test_applied_equals_bare_and_taken_back_equals_before(tree: list[Step], program: list[Step]) -> None:
    """Whatever a program does: its bits are promoted exactly, and go back exactly."""
    compared = compare(tree, program)
    assume(not compared.refused)
    assert compared.differences == {}
