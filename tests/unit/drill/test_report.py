"""What a person and a program are told at the end."""

from __future__ import annotations

import jsonschema

from backout.drill import report
from backout.drill.claims import Act, Claim
from backout.drill.report import Outcome
from backout.drill.samples import Sample, Seen
from backout.render.schemas import schema

DOWN = Seen((Sample(0.0, ok=False, latency_s=0.1), Sample(2.0, ok=True, latency_s=0.1)), ((0.5, "change made"),))
UP = Seen((Sample(0.0, ok=True, latency_s=0.1),))


def outcome(*, holds: bool) -> Outcome:
    """Two acts; the second one's claim holds or not."""
    acts = (
        Act("the bare way", "puppet apply", 2, DOWN, (Claim("the site went down", holds=True),)),
        Act(
            "through backout",
            "backout run",
            3,
            UP,
            (Claim("not one request failed", holds=holds),),
            ("user:x (added)",),
            ("file:/srv/y",),
            letter="How long: 7 s\n\nData lost: none\n",
        ),
    )
    return Outcome("puppet", "Python 3.11", live=False, acts=acts, seconds=61.4, page="/home/you/drill.html")


def test_the_table_says_for_each_act_how_it_ended_and_what_it_cost() -> None:
    """This table is what people remember of the drill."""
    assert report.table(outcome(holds=True)).splitlines()[:3] == [
        "act                exit  downtime  requests failed",
        "1 the bare way        2     2.0 s           1 of 2",
        "2 through backout     3      none           0 of 1",
    ]
    assert "What broke it: file:/srv/y" in report.table(outcome(holds=True)).splitlines()
    assert "The letter to the client:\n\n  How long: 7 s\n\n  Data lost: none\n" in report.table(outcome(holds=True))


def test_a_story_that_did_not_come_true_is_told_in_one_sentence() -> None:
    """Exit code 1 alone would leave people guessing."""
    told = outcome(holds=False)
    assert not told.came_true
    assert told.sentence == (
        "Act 2 (through backout) did not go as it should. It was to show that not one request failed."
    )
    assert told.sentence in report.table(told)


def test_the_document_is_the_one_that_is_published() -> None:
    """Programs read it by its schema."""
    for holds in (True, False):
        document = report.document(outcome(holds=holds))
        jsonschema.validate(document, schema("backout.drill/1"))
        assert document["came_true"] is holds


def test_the_page_draws_every_act() -> None:
    """The page is what is shown to those who were not there."""
    page = report.page(outcome(holds=True).acts)
    assert "the bare way" in page
    assert "through backout" in page
    assert "change made" in page
