"""What a trickle of requests saw, as values, and what follows from it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Sample(NamedTuple):
    """One request: when it was begun (seconds since the first), whether it was answered, how long it took (seconds)."""

    at_s: float
    ok: bool
    latency_s: float


class Seen(NamedTuple):
    """What a trickle of requests saw in one act; `events` are (seconds since the first request, what happened then)."""

    samples: tuple[Sample, ...] = ()
    events: tuple[tuple[float, str], ...] = ()

    @property
    def total(self) -> int:
        """Count the requests."""
        return len(self.samples)

    @property
    def failed(self) -> int:
        """Count the requests that were not answered well."""
        return sum(not sample.ok for sample in self.samples)

    def failed_since(self, event: str) -> int:
        """Count the requests that were begun after an event and were not answered well."""
        since_s = min(at_s for at_s, what in self.events if what == event)
        return sum(not sample.ok for sample in self.samples if sample.at_s > since_s)

    @property
    def downtime_s(self) -> float:
        """Add up the outages, in seconds."""
        return sum(end - begin for begin, end in outages(self.samples))

    @property
    def duration_s(self) -> float:
        """Say how long was looked, in seconds."""
        return max((sample.at_s + sample.latency_s for sample in self.samples), default=0.0)


def outages(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """Give (begin, end) of each outage, in seconds: from a failed request to the next one that was answered.

    An outage that no answer ends lasts until its last request gave up.
    """
    found: list[tuple[float, float]] = []
    begin: float | None = None
    gave_up = 0.0
    for sample in sorted(samples):
        if not sample.ok:
            begin = sample.at_s if begin is None else begin
            gave_up = max(gave_up, sample.at_s + sample.latency_s)
        elif begin is not None:
            found.append((begin, sample.at_s))
            begin = None
    if begin is not None:
        found.append((begin, gave_up))
    return found
