"""The drill's page: numbers that can be believed, in a file that needs nothing else."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from backout.render.availability import Run, downtime, downtime_s, page


def run(name: str = "bare", failed: tuple[float, float] | None = None, seconds: float = 10) -> Run:
    """Give a run with a request a second, failing between two times."""
    samples = [(float(at), not (failed and failed[0] <= at < failed[1]), 5.0 + at) for at in range(int(seconds))]
    bad = sum(not ok for _, ok, _ in samples)
    return Run(name, seconds, bad, len(samples), samples, [(1.0, "it began"), (1.1, "it went on")])


@pytest.mark.parametrize(
    ("samples", "stretches"),
    [
        ([(0, True), (1, False), (2, False), (3, True)], [(1, 3)]),
        ([(0, False), (1, True), (2, False), (3, True)], [(0, 1), (2, 3)]),
        ([(0, True), (8, False)], [(8, 10)]),
        ([(3, True), (1, False), (0, True)], [(1, 3)]),
        ([(0, True)], []),
        ([], []),
    ],
)
def test_down_lasts_from_the_first_failure_to_the_next_answer(
    samples: list[tuple[float, bool]], stretches: list[tuple[float, float]]
) -> None:
    """The number that a client is told: it must not be made smaller by how often one asked."""
    of = Run("x", 10, 0, 0, [(at, ok, 1.0) for at, ok in samples], [])
    assert downtime(of) == stretches
    assert downtime_s(of) == sum(end - start for start, end in stretches)


class Reader(HTMLParser):
    """Reads the page as a browser would: which addresses it would ask, and the words in each cell."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.cells: list[str] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what would be fetched or run."""
        self._in_cell = tag in ("td", "th")
        if tag in ("script", "link", "img", "iframe", "object", "use", "image"):
            self.asked.append(tag)
        self.asked += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "srcset")]

    def handle_data(self, data: str) -> None:
        """Note the words of a cell."""
        if self._in_cell and data.strip():
            self.cells.append(data.strip())


def test_the_page_asks_nobody_for_anything() -> None:
    """It is mailed to clients and opened years later, on machines without a network."""
    drawn = page([run()])
    reader = Reader()
    reader.feed(drawn)
    assert reader.asked == []
    assert "url(" not in drawn
    assert "@import" not in drawn


def test_the_table_holds_what_the_picture_shows() -> None:
    """A picture alone cannot be read aloud, nor quoted."""
    reader = Reader()
    reader.feed(page([run("bare", (2, 7)), run("through backout")]))
    assert reader.cells[6:] == [
        *("bare", "10.0 s", "5.0 s", "5", "10", "50.0 %"),
        *("through backout", "10.0 s", "0.0 s", "0", "10", "100.0 %"),
    ]


def picture(drawn: str) -> ET.Element:
    """Give the page's picture."""
    return ET.fromstring(drawn[drawn.index("<svg") : drawn.index("</svg>") + 6])


def test_all_runs_share_one_time_axis() -> None:
    """Five seconds down must be as long in each strip, or the eye is lied to."""
    drawn = picture(page([run("a", (2, 4), seconds=10), run("b", (2, 4), seconds=40)]))
    down = [part for part in drawn.iter("rect") if part.get("class") == "down"]
    assert len({(part.get("x"), part.get("width")) for part in down}) == 1
    assert len(down) == 2
    up = [float(part.get("width") or 0) for part in drawn.iter("rect") if part.get("class") == "up"]
    assert up[1] == pytest.approx(4 * up[0], rel=0.01)


def test_a_single_failed_request_can_be_seen() -> None:
    """A hundredth of a pixel is nothing to the eye, but somebody's order."""
    brief = Run("x", 600, 1, 3, [(0, True, 1), (1, False, 1), (1.01, True, 1)], [])
    down = [part for part in picture(page([brief])).iter("rect") if part.get("class") == "down"]
    assert [part.get("width") for part in down] == ["2.0"]


def test_labels_do_not_cover_one_another() -> None:
    """When much happens within a second, all of it must still be readable."""
    events = [(float(at) / 10, f"event {at}") for at in range(9)]
    drawn = picture(page([run()._replace(events=events)]))
    labels = [part for part in drawn.iter("text") if part.get("class") == "label"]
    rows = sorted((float(part.get("y") or 0), float(part.get("x") or 0)) for part in labels)
    assert len(labels) == 9
    assert all(next_x - x > 60 for (y, x), (next_y, next_x) in pairwise(rows) if y == next_y)
    assert max(y for y, _ in rows) < float((drawn.get("viewBox") or "").split()[3])


def test_words_from_outside_stay_words() -> None:
    """An event's label may hold a command, and a command may hold anything."""
    drawn = page([run("<script>alert(1)</script>")._replace(events=[(1.0, "a & b <i>")])])
    assert "<script" not in drawn
    assert "a &amp; b &lt;i&gt;" in drawn


def test_light_dark_and_paper_are_thought_of() -> None:
    """It is read at night in an incident, and printed for a review."""
    drawn = page([run()])
    assert "prefers-color-scheme: dark" in drawn
    assert "@media print" in drawn


def test_a_page_about_nothing_says_so() -> None:
    """A drill that was interrupted early must not end in a traceback."""
    assert "Nothing was run." in page([])
    assert "No request failed in any run." in page([Run("x", 0, 0, 0, [], [])])
