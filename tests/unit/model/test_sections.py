"""A text in sections: what keeps it from being read is told with its line, and two edits of it are put together."""

from __future__ import annotations

import pytest

from backout.model.review import template
from backout.model.sections import SECTIONS, YOURS, Problem, marked, merged, pieces, sections, structure

TEXT = template()


def test_a_text_is_its_pieces() -> None:
    """Nothing is lost between them."""
    text = f"above\n{TEXT}"
    assert "".join(raw for _, raw in pieces(text)) == text
    assert [name for name, _ in pieces(TEXT)] == list(SECTIONS)
    assert sections(TEXT.replace("## Impact\n", "## Impact\nnone\n"))["Impact"] == "none\n\n"


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("## Impact\n", "", 14, "the section '## Impact' is not there; it belongs here"),
        ("## Impact\n", "##impact:\n", 13, "this line should read '## Impact'"),
        ("## Impact\n", "## Impact\n## Impact\n", 14, "stands a second time; the first is in line 13"),
        ("## Summary\n", "## Impact\n\n## Summary\n", 3, "'## Summary' stands below '## Impact'"),
        ("## Summary\n", "I think\n\n## Summary\n", 1, "this stands in no section: it is above '## Summary'"),
        ("## Impact\n", "## Impact\n```\ncode\n", 14, "this block of code has no end"),
        ("## Impact\n", "## Impact\n<!-- was\n", 14, "this comment has no end"),
        ("## Impact\n", f"## Impact\n{YOURS}\n", 14, "both ways of putting it still stand here"),
    ],
)
def test_what_keeps_a_text_from_being_read_is_told_with_its_line(old: str, new: str, line: int, what: str) -> None:
    """Whoever removed a heading by mistake finds it by the first thing that is said."""
    assert (structure(TEXT.replace(old, new))[0].line, what in structure(TEXT.replace(old, new))[0].what) == (
        line,
        True,
    )


def test_a_text_is_whole_with_other_headings_in_it() -> None:
    """A heading that is not one of ours is text of its section, as is one in a block of code."""
    assert structure(TEXT.replace("## Impact\n", "## Impact\n## On clients\n~~~~\n## Impact\n~~~\n~~~~\n")) == []


def test_sections_that_only_one_of_two_changed_are_taken_from_each() -> None:
    """Two people write at the same time, and neither has to know."""
    mine, theirs = TEXT.replace("## Impact\n", "## Impact\nmine\n"), TEXT.replace("## Paths\n", "## Paths\ntheirs\n")
    both = merged(TEXT, mine, theirs)
    assert both == mine.replace("## Paths\n", "## Paths\ntheirs\n")
    assert merged(TEXT, mine, mine) == mine


def test_what_an_editor_does_to_the_ends_of_lines_is_no_change() -> None:
    """Else an editor that writes CRLF would have changed every section, and nobody else could save."""
    theirs = TEXT.replace("## Paths\n", "## Paths\ntheirs\n")
    assert merged(TEXT, TEXT.replace("\n", "\r\n"), theirs) == TEXT.replace("\n", "\r\n").replace(
        "## Paths\r\n\r\n", "## Paths\ntheirs\n\n"
    )


def test_a_section_that_both_changed_is_told_with_the_line_at_which_they_part() -> None:
    """Nothing is chosen for them; both ways are put side by side, and cannot be saved until one is chosen."""
    mine = TEXT.replace("## Impact\n", "## Impact\nsame\nmine\n")
    theirs = TEXT.replace("## Impact\n", "## Impact\nsame\ntheirs\n").replace("## Paths\n", "## Paths\ntheirs\n")
    assert merged(TEXT, mine, theirs) == [
        Problem(15, "the section '## Impact' was changed here, and by somebody else, too.")
    ]
    both = marked(TEXT, mine, theirs)
    assert both == theirs.replace(
        "same\ntheirs\n", f"same\n{YOURS}\nmine\n======= theirs\ntheirs\n>>>>>>> end of theirs\n"
    )
    assert [problem.line for problem in structure(both)] == [15]
