"""Downtime is what a client pays for: it must be neither flattered nor invented."""

from __future__ import annotations

from backout.drill.samples import Sample, Seen, outages


def trickle(answers: str, every_s: float = 1.0, latency_s: float = 0.25) -> tuple[Sample, ...]:
    """Requests in order, one a letter: `.` was answered, `x` was not."""
    return tuple(Sample(number * every_s, letter == ".", latency_s) for number, letter in enumerate(answers))


def test_an_outage_lasts_from_the_first_failure_to_the_next_answer() -> None:
    """Counting only up to the last failure would flatter every number that the drill shows."""
    assert outages(trickle("..xxx..")) == [(2.0, 5.0)]


def test_each_outage_counts_and_the_time_between_them_does_not() -> None:
    """A site that flaps is up in between, and people did get answers."""
    assert outages(trickle(".x..xx.")) == [(1.0, 2.0), (4.0, 6.0)]
    assert Seen(trickle(".x..xx.")).downtime_s == 3.0


def test_an_outage_that_nothing_ends_lasts_until_the_last_request_gave_up() -> None:
    """A site that stays down must not be shown as up because nobody asked any more."""
    assert outages(trickle(".xx", latency_s=2.0)) == [(1.0, 4.0)]


def test_requests_are_judged_in_the_order_in_which_they_were_sent() -> None:
    """A request that hangs is recorded after later ones that were refused at once."""
    late = (
        Sample(3.0, ok=True, latency_s=0.1),
        Sample(1.0, ok=False, latency_s=2.0),
        Sample(0.0, ok=True, latency_s=0.1),
    )
    assert outages(late) == [(1.0, 3.0)]


def test_no_failure_means_no_downtime() -> None:
    """Act 2 rests on this zero."""
    seen = Seen(trickle("...."))
    assert (seen.failed, seen.total, seen.downtime_s) == (0, 4, 0)


def test_failures_after_an_event_are_those_of_requests_begun_after_it() -> None:
    """'Healthy again' is a claim about what comes after it; a request that was under way may still fail."""
    seen = Seen(trickle("..xx.x."), ((3.5, "backed out"),))
    assert seen.failed_since("backed out") == 1


def test_nothing_seen_is_nothing_counted() -> None:
    """An act that ended before its first request still gets a line in the table."""
    assert (Seen().failed, Seen().total, Seen().downtime_s, Seen().duration_s) == (0, 0, 0, 0)


def test_what_was_looked_at_ends_with_the_last_answer() -> None:
    """The page draws its time axis up to here."""
    assert Seen(trickle("...", latency_s=0.5)).duration_s == 2.5
