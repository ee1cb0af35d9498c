"""Front matter as people write it, and the line that is named where it cannot be read."""

from __future__ import annotations

import pytest

from backout.config.front import Fronted, read
from backout.config.parse import parse
from backout.errors import ConfigError, UsageError


def test_simple_front_matter_is_read_as_it_is_written() -> None:
    """Texts, quotes, numbers, both kinds of lists, comments: what postmortems in the field have."""
    text = (
        "---\n# of last week\ntitle: Shop down: all of it  # the title\ndate: 2026-11-23\nseverity: 1\npublic: false\n"
        'tags: [pip, "a, b", \'it\'\'s\']\nowners:\n  - anna\n  - ben\nlead: "said \\"no\\""\nempty:\n'
        "---\n\n# Head\n\ntext\n"
    )
    assert read(text, "a.md") == Fronted(
        {
            "title": "Shop down: all of it",
            "date": "2026-11-23",
            "severity": 1,
            "public": False,
            "tags": ["pip", "a, b", "it's"],
            "owners": ["anna", "ben"],
            "lead": 'said "no"',
            "empty": None,
        },
        "# Head\n\ntext",
    )


def test_toml_front_matter_is_read_and_dates_become_texts() -> None:
    """Hugo and Zola write it between +++; what is stored is JSON."""
    text = '+++\ntitle = "x"\ndate = 2026-11-23\n[extra]\nsev = 2\n+++\ntext'
    assert read(text, "a.md") == Fronted({"title": "x", "date": "2026-11-23", "extra": {"sev": 2}}, "text")


@pytest.mark.parametrize("text", ["", "# Head\n---\nno front", "text", "--- no fence\na: b\n---\n"])
def test_a_file_without_front_matter_is_all_text(text: str) -> None:
    """A line of dashes further down is a rule."""
    assert read(text, "a.md") == Fronted({}, text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("---\ntitle: x\n", "a.md:1: the front matter that begins here has no end"),
        ("---\ntitle: x\nno key\n---\n", "a.md:3: this is neither"),
        ("---\ntitle: x\n\ntitle: y\n---\n", "a.md:4: title is here twice"),
        ("---\ntitle: |\n  long\n---\n", "a.md:2: a value that begins with |"),
        ("---\ntags: [a, b\n---\n", "a.md:2: a list that begins with ["),
        ('---\ntitle: "x\n---\n', "a.md:2: a text in quotes ends with its line"),
        ("---\ntitle: 'x' y\n---\n", "a.md:2: a text in quotes"),
        ('---\ntitle: "\\x"\n---\n', "a.md:2: a text in quotes has an escape"),
        ("---\n- item\n---\n", "a.md:2: this is neither"),
        ('+++\ntitle = "x"\ndate = oops\n+++\n', "a.md:3: this is not TOML"),
    ],
)
def test_what_cannot_be_read_is_named_by_file_and_line(text: str, place: str) -> None:
    """A guess would store a postmortem under a wrong date or title."""
    with pytest.raises(UsageError) as raised:
        read(text, "a.md")
    assert raised.value.what.startswith(place)
    assert raised.value.state == "Nothing of that file was taken in."


def test_folders_of_notes_are_named_in_the_configuration() -> None:
    """They are what is searched besides the journal; a misspelt key is named."""
    assert parse('[search]\nfolders = ["docs/runbooks"]\n').folders == ("docs/runbooks",)
    assert parse("").folders == ()
    with pytest.raises(ConfigError, match=r"search\.folder is not a known key"):
        parse('[search]\nfolder = ["x"]\n')
