"""What a person is offered to paste: it must do what was rehearsed, and show no secret."""

from __future__ import annotations

import subprocess

import pytest

from backout.cli.screens import applying
from backout.render.screen import Screen

SCREEN = Screen()


@pytest.mark.parametrize(
    "word",
    [
        "echo one > m1\necho two > m2",
        "it's",
        "a b",
        "tab\there",
        "caf\udce9",
        "back\\slash\n",
        "\x1b[2J",
        "$HOME",
        "~",
        "",
    ],
)
def test_the_line_that_applies_a_rehearsal_can_be_pasted(word: str) -> None:
    """A line that a shell reads as another command than the rehearsed one would be worse than none."""
    line = applying(["rehearse", "--network", "none", "--twice", "--", "sh", "-c", word], SCREEN)
    assert line.isprintable()
    assert line.startswith("backout run --network none -- sh -c ")
    pasted = subprocess.run(
        ["bash", "-c", f"backout() {{ printf '%s\\0' \"$@\"; }}; {line}"], capture_output=True, check=True
    )
    assert pasted.stdout.split(b"\0")[-2] == word.encode("utf-8", "surrogateescape")


def test_a_word_of_the_command_is_not_taken_for_ours() -> None:
    """The command may be called like a command or an option of this program."""
    assert applying(["rehearse", "--", "x", "rehearse", "--twice"], SCREEN) == "backout run -- x rehearse --twice"


def test_a_named_command_is_offered_by_its_name() -> None:
    """What was rehearsed by name is run by name."""
    assert applying(["rehearse", "puppet"], SCREEN) == "backout run puppet"


@pytest.mark.parametrize(
    "words",
    [
        ("--", "mysql --password=hunter2 -e x"),
        ("--", "mysql", "--password", "hunter2"),
        ("--", "env", "API_TOKEN=hunter2", "deploy"),
        ("--", "curl", "https://anna:hunter2@example.com/"),
        ("--why", "password: hunter2", "--", "true"),
    ],
)
def test_the_line_that_applies_a_rehearsal_shows_no_secret(words: tuple[str, ...]) -> None:
    """The report hides what looks like a secret; its last line, which people post in tickets, must as well."""
    told = applying(["rehearse", *words], SCREEN)
    assert "hunter2" not in told
    assert "with run instead of rehearse" in told
