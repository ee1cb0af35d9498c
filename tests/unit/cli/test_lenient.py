"""What is typed while it burns: options where they are meant as such, and every other word kept."""

from __future__ import annotations

import pytest

from backout.cli.lenient import Heard, flag, listen, number, one

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
