"""Columns that are too wide are cut where it costs least."""

from __future__ import annotations

from rich.text import Text

from backout.render.canvas import aligned


def test_a_path_that_is_too_long_keeps_its_end_and_words_their_beginning() -> None:
    """Two files of one folder look alike by their beginnings, and a hurried reader has to know which one it is."""
    path, words = Text("/srv/shop/releases/20261124/current/app.conf"), Text("content 61005c54 instead of 27a12c6c")
    (line,) = aligned([[path, words]], 2, 40)
    assert line.plain == "  …/current/app.conf content 61005c54 i…"
