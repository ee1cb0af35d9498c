"""What is typed while it burns: options where they are meant as such, and every other word kept."""

from __future__ import annotations

import pytest

from backout.cli.lenient import Heard, NoValueError, flag, listen, number, one, pick

KNOWN = {"--environment": one, "--of": number, "--json": flag}


def hear(*words: str) -> Heard:
    """Read words with three options."""
    return listen(words, KNOWN, {"-e": "--environment"})


@pytest.mark.parametrize(
    ("words", "options", "text"),
    [
        (("-e", "prod", "web1", "is", "down"), {"--environment": "prod"}, "web1 is down"),
        (("web1", "is", "down", "-e", "prod", "--json"), {"--environment": "prod", "--json": True}, "web1 is down"),
        (("--of=3", "ruled", "out:"), {"--of": 3}, "ruled out:"),
        (("--", "--json", "is", "text"), {}, "--json is text"),
        (("-", "5", "°C", "-5"), {}, "- 5 °C -5"),
    ],
)
def test_options_stand_before_the_text_or_after_it(
    words: tuple[str, ...], options: dict[str, object], text: str
) -> None:
    """Whoever thinks of the environment last types it last."""
    heard = hear(*words)
    assert (heard.options, " ".join(heard.text), heard.complaints) == (options, text, ())


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--foo", "it", "broke"), "taken as text: --foo"),
        (("it", "said", "--of", "course", "not"), "taken as text: --of"),
        (("--of", "x", "it"), "taken as text: --of (it needs the number of an entry)"),
        (("it", "broke", "-e"), "taken as text: -e"),
        (("ran", "grep", "-e", "shop", "on", "it"), "taken as text: -e"),
        (("--json=yes", "it"), "taken as text: --json=yes (it needs no value)"),
    ],
)
def test_what_is_no_option_is_text_and_is_named(words: tuple[str, ...], complaint: str) -> None:
    """Nothing that was typed is lost, and nothing is taken otherwise in silence."""
    heard = hear(*words)
    assert (heard.options, heard.text, heard.complaints) == ({}, words, (complaint,))


def level(words: object) -> tuple[int, int]:
    """Read nothing, as of a number that is too high."""
    del words
    raise NoValueError("1, 2 or 3", 1)


@pytest.mark.parametrize(
    ("words", "options", "text", "left"),
    [
        ("--foo site down", {}, "site down", "not understood, and left out of the text: --foo"),
        ("site --foo=bar down", {}, "site down", "not understood, and left out of the text: --foo=bar"),
        ("--enviroment prod down", {"--environment": "prod"}, "down", "--enviroment was taken as --environment"),
        ("down --env=prod", {"--environment": "prod"}, "down", "--env was taken as --environment"),
        ("-eprod the -e shop", {"-e": "prod"}, "the shop", "not understood, and left out of the text: -e"),
        ("-e=prod down --json", {"-e": "prod", "--json": True}, "down", None),
        ("--level 4 down", {}, "down", "not understood, and left out of the text: --level 4 (it needs 1, 2 or 3)"),
        ("down -e", {}, "down", "not understood, and left out of the text: -e"),
        ("-5 °C - --json -- --foo", {"--json": True}, "-5 °C - --foo", None),
    ],
)
def test_a_text_that_others_read_has_no_options_in_it(
    words: str, options: dict[str, object], text: str, left: str | None
) -> None:
    """A client should read what is down, and not what was mistyped; nothing is left out in silence."""
    late = {"--environment": one, "--level": level, "--json": flag}
    heard = pick(words.split(), {**late, "-e": one}, late)
    assert (heard.options, " ".join(heard.text)) == (options, text)
    assert heard.complaints == (() if left is None else (left,))
