"""What is forbidden and what is expected: whether anything of it could ever be let through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.model.contradiction import forbids_all
from backout.model.effect import Effect
from backout.model.selector import Selector, parse_selector


def selectors(text: str) -> list[Selector]:
    """Selectors, with a blank between them."""
    return [parse_selector(word) for word in text.split()]


@pytest.mark.parametrize(
    ("forbidden", "expected"),
    [
        ("file:/etc/*", "file:/etc/nginx/*"),
        ("file:/etc/*", "file:/etc/motd file:/etc/nginx/nginx.conf"),
        ("file:/etc/*", "config:/etc/app.ini#port"),
        ("*:*", "*:* service:shop*"),
        ("python-package:*", "python-package:/srv/shop/venv:*"),
        ("python-package:Flask_Login", "python-package:/srv/shop/venv:flask-login"),
        ("file:/srv/* file:/etc/*", "file:/srv/a file:/etc/b"),
        ("file:/srv/?.conf", "file:/srv/?.conf"),
    ],
)
def test_all_that_is_expected_is_forbidden(forbidden: str, expected: str) -> None:
    """Such a command is refused each time that it does anything; somebody should know before they wait for it."""
    assert forbids_all(selectors(forbidden), selectors(expected))


@pytest.mark.parametrize(
    ("forbidden", "expected"),
    [
        ("file:/etc/*", "file:/etc/nginx/* service:nginx*"),
        ("file:/etc/nginx/*", "file:/etc/*"),
        ("file:/etc/?", "file:/etc/*"),
        ("config:/etc/app.ini#*", "file:/etc/app.ini"),
        ("python-package:/srv/shop/venv:*", "python-package:flask"),
        ("python-package:flask", "debian-package:flask"),
        ("file:*", "*:*"),
        ("file:/etc/[ab]*", "file:/etc/[bc]*"),
        ("file:*", ""),
    ],
)
def test_something_of_what_is_expected_is_not_forbidden(forbidden: str, expected: str) -> None:
    """A false alarm about a guard is how people learn to read past the true ones."""
    assert not forbids_all(selectors(forbidden), selectors(expected))


@given(st.text("a/*?", min_size=1), st.text("a/*?", min_size=1), st.text("ab/"))
def test_what_is_called_forbidden_is_forbidden(forbidden: str, expected: str, subject: str) -> None:
    """Whatever path an expectation matches, a selector that is said to cover it matches, too."""
    effect = Effect("file", subject, "edited", None, None)
    if forbids_all([Selector("file", forbidden)], [Selector("file", expected)]):
        assert Selector("file", forbidden).matches(effect) or not Selector("file", expected).matches(effect)
