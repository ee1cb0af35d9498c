"""Rollouts that are cut at random: the long version is `./run bench chaos`."""

from __future__ import annotations

import os

from kit.chaos import storm


def test_no_host_is_torn_doubled_or_forgotten_whatever_is_cut() -> None:
    """Each host has all of a change or nothing of it, once; what is said of it is so; and a resume gets it done."""
    with storm(int.from_bytes(os.urandom(3))) as made:
        print(f"seed {made.tally.seed}")  # noqa: T201 - pytest shows it when it fails
        for _ in range(5):
            made.rollout()
    assert made.tally.faults == []
