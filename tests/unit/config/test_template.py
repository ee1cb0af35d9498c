"""The file that `init` writes is documentation, example and test at once: it must be right in every line."""

from __future__ import annotations

import re
import shlex

from backout.config.parse import parse
from backout.config.template import Found, render_template
from backout.config.values import Environment
from backout.model.selector import Selector

SHOP = Found(
    services=("shop.service", "nginx.service"),
    virtualenvs=("/srv/shop/venv", "/srv/the client's/venv"),
    requirements=("/srv/shop/requirements.txt", "/srv/other/requirements.txt"),
)


def test_the_template_is_a_valid_file_when_nothing_was_found() -> None:
    """`init` on an empty machine must not write what the next command refuses."""
    (environment,) = parse(render_template(Found())).environments
    assert environment == Environment("production", hosts=("local",), watch=("/etc",))


def test_the_template_says_what_was_found() -> None:
    """A file that starts with this machine's services and virtualenvs is one that people keep."""
    config = parse(render_template(SHOP))
    (environment,) = config.environments
    assert environment.services == SHOP.services
    assert environment.watch == ("/etc", "/srv/shop", "/srv/the client's")
    runs = [shlex.split(check.run or "") for check in environment.checks]
    assert [run[0] for run in runs] == ["/srv/shop/venv/bin/python", "/srv/the client's/venv/bin/python"]


def test_requirements_beside_a_virtualenv_become_a_command_that_expects_only_packages() -> None:
    """The story began with such a command; by name, and with its expectation, it is harmless."""
    (command,) = parse(render_template(SHOP)).commands
    assert command.run == "/srv/shop/venv/bin/pip install -r /srv/shop/requirements.txt"
    assert command.expect == (Selector("python-package", "/srv/shop/venv:*"),)


def test_every_setting_that_is_put_out_of_force_would_be_right_in_force() -> None:
    """An example in a comment rots unless something reads it."""
    all_in_force = re.sub(r"(?m)^#(?=\S)", "", render_template(SHOP))
    config = parse(all_in_force)
    assert config.command("puppet").timeout_s == 600.0
    assert config.environment("production").checks[-1].start is not None
    assert [(guard.rule, guard.override) for guard in config.guards] == [("max-jump", True)]


def test_names_that_toml_cannot_hold_are_left_out_and_odd_ones_are_quoted() -> None:
    """A folder with a quote or a stray byte in its name must not make the whole file unreadable."""
    odd = Found(environment='a "b".c', virtualenvs=("/srv/caf\udce9/venv", '/srv/"\x7f\\/venv'))
    (environment,) = parse(render_template(odd)).environments
    assert environment.name == 'a "b".c'
    assert environment.watch == ("/etc", '/srv/"\x7f\\')


def test_a_name_is_quoted_only_where_toml_needs_it() -> None:
    """The first line that a newcomer reads should look as in the documentation."""
    assert "\n[environments.production]\n" in render_template(Found())
    assert "\n[[environments.web-1_a.checks]]\n" in render_template(SHOP._replace(environment="web-1_a"))
    assert '\n[environments."a.b"]\n' in render_template(Found(environment="a.b"))


def test_a_virtualenv_without_pip_is_watched_and_not_asked() -> None:
    """A check that is red from the start guards nothing, and teaches people to ignore checks."""
    config = parse(render_template(SHOP._replace(without_pip=("/srv/shop/venv",))))
    (environment,) = config.environments
    assert [check.name for check in environment.checks] == ["packages agree in /srv/the client's/venv"]
    assert "/srv/shop" in environment.watch
    assert config.commands == ()


def test_a_virtualenv_of_somebody_else_is_named_and_nothing_of_it_is_in_force() -> None:
    """Its interpreter would run as root, with whatever its owner has put there."""
    found = Found(
        virtualenvs=("/srv/shop/venv",), requirements=("/home/a/requirements.txt",), foreign=("/home/a/venv\nx",)
    )
    text = render_template(found)
    assert '#   "/home/a/venv\\nx"\n' in text
    config = parse(text)
    assert config == parse(render_template(found._replace(foreign=(), requirements=())))
    assert "/home/a" not in str(config)
