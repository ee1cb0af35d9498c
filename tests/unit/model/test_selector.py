"""Selectors: the one way to name effects. What one covers is let through; what it does not is refused."""

from __future__ import annotations

import pytest

from backout.errors import UsageError
from backout.model.effect import KINDS
from backout.model.selector import Selector, is_expected, parse_selector
from kit.values import effect

FLASK = "python-package:/srv/shop/venv:flask"
SETTING = "config:/srv/shop/app.toml#server.workers"


def matches(selector: str, name: str) -> bool:
    """Whether a selector, as a person writes it, covers the effect of that name."""
    path = name.partition(":")[2].rpartition("#")[0].encode()
    return parse_selector(selector).matches(effect(name, paths=(path,) if name.startswith("config:") else ()))


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        ("file:/srv/shop/gunicorn.conf.py", "file:/srv/shop/gunicorn.conf.py"),
        ("file:/srv/*", "file:/srv/shop/static/a/b.css"),
        ("file:*.css", "file:/srv/shop/static/a/b.css"),
        ("file:/srv/sho?/*", "file:/srv/shop/x"),
        ("file:*", "file:/srv/line\nfeed"),
        ("file:/srv/shop/app.toml", SETTING),
        ("file:/srv/*", SETTING),
        ("config:/srv/shop/app.toml#server.*", SETTING),
        ("python-package:flask", FLASK),
        ("python-package:fl*", FLASK),
        ("python-package:*", FLASK),
        ("python-package:flask", "python-package:/srv/a:b/venv:flask"),
        ("python-package:/srv/shop/venv:*", FLASK),
        ("python-package:/srv/*:flask", FLASK),
        ("python-package:/srv/shop/venv:Flask", FLASK),
        ("python-package:Flask_Login", "python-package:/srv/shop/venv:flask-login"),
        ("*:/srv/shop/app.toml", SETTING),
        ("debian-package:nginx*", "debian-package:nginx-light"),
        ("debian-package:libc6:i386", "debian-package:libc6:i386"),
        ("service:shop*", "service:shop.service"),
        ("service:shop*", "service:shop-worker@2.service"),
        ("user:deploy", "user:deploy"),
        ("*:*", "file:/etc/passwd"),
        ("*:*", FLASK),
        ("*:*", SETTING),
        ("*:*", "service:shop.service"),
        ("*:flask", FLASK),
    ],
)
def test_a_selector_covers(selector: str, name: str) -> None:
    """Each is in the design, or follows from it: `*` crosses `/`, a package is any prefix's, a file has its keys."""
    assert matches(selector, name)


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        ("file:/srv/shop", "file:/srv/shop/gunicorn.conf.py"),
        ("file:/srv/shop/*", "file:/srv/shop"),
        ("file:gunicorn.conf.py", "file:/srv/shop/gunicorn.conf.py"),
        ("file:/srv/SHOP/*", "file:/srv/shop/x"),
        ("file:*", FLASK),
        ("file:/srv/shop/venv*", FLASK),
        ("file:/srv/shop/app.toml", "config:/srv/shop/other.toml#server.workers"),
        ("file:*workers", SETTING),
        ("config:*", "file:/srv/shop/app.toml"),
        ("config:/srv/shop/app.toml", SETTING),
        ("python-package:flask", "python-package:/srv/shop/venv:flask-login"),
        ("python-package:flask", "debian-package:flask"),
        ("python-package:/srv/shop/venv:flask", "python-package:/srv/blog/venv:flask"),
        ("debian-package:libc6", "debian-package:libc6:i386"),
        ("debian-package:i386", "debian-package:libc6:i386"),
        ("service:shop", "service:shop.service"),
        ("user:deploy", "group:deploy"),
        ("*:flask", "file:/usr/bin/flask"),
    ],
)
def test_a_selector_does_not_cover(selector: str, name: str) -> None:
    """One that covers more than it says lets a surprise through, and that is the story this program is about."""
    assert not matches(selector, name)


@pytest.mark.parametrize(
    ("selector", "covers"), [("file:/srv/shop", False), ("file:/srv/shop#old/app.toml", True), ("file:/srv/*", True)]
)
def test_a_hash_in_a_files_path_is_not_where_its_keys_begin(selector: str, covers: bool) -> None:
    """`--expect file:/srv/shop` must not let through what is done to the keys of /srv/shop#old/app.toml."""
    assert matches(selector, "config:/srv/shop#old/app.toml#workers") is covers


def test_a_hash_in_a_key_belongs_to_the_key() -> None:
    """Keys are quoted as TOML does it; the path ends where the path ends."""
    name = 'config:/srv/app.toml#colors."#fff"'
    assert parse_selector("file:/srv/app.toml").matches(effect(name, paths=(b"/srv/app.toml",)))


def test_nothing_but_kind_and_subject_is_looked_at() -> None:
    """An expectation is about what is touched; a reader must be able to tell from the report's line alone."""
    found = effect(FLASK, op="removed", before="1", after=None, content="x", paths=(b"/srv/a",), reversible=False)
    assert parse_selector("python-package:flask").matches(found)
    assert not parse_selector("file:/srv/a").matches(found)


@pytest.mark.parametrize("kind", [*KINDS, "*"])
def test_every_kind_can_be_selected_and_is_written_as_it_was_read(kind: str) -> None:
    """Reports and errors quote selectors; a person must be able to paste them."""
    assert str(parse_selector(f"{kind}:a:b*")) == f"{kind}:a:b*"
    assert parse_selector(f"{kind}:a:b*") == Selector(kind, "a:b*")


@pytest.mark.parametrize(
    "text", ["", "flask", "file", "file:", ":flask", "packages:flask", "FILE:/x", "fi*:/x", "/etc"]
)
def test_what_is_no_selector_is_wrong_usage_that_names_the_kinds(text: str) -> None:
    """A typing error that selected nothing would refuse every change, and nobody would see why."""
    with pytest.raises(UsageError) as caught:
        parse_selector(text)
    assert repr(text) in caught.value.what
    assert all(kind in caught.value.what for kind in KINDS)
    assert caught.value.next


def test_with_selectors_every_effect_is_expected_or_a_surprise() -> None:
    """One selector that covers it is enough; one effect that none covers is what refuses."""
    effects = [effect("file:/srv/a"), effect(FLASK), effect("user:eve")]
    selectors = [parse_selector("file:*"), parse_selector("python-package:flask")]
    assert [is_expected(one, selectors) for one in effects] == [True, True, False]


def test_without_a_selector_nothing_is_expected_and_nothing_a_surprise() -> None:
    """A surprise is what no `--expect` covers; without one there are only effects, and a person is asked."""
    assert is_expected(effect("file:/srv/a"), ()) is None
