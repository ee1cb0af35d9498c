"""The backout.toml that `init` writes: documentation, example and test at once.

A line that starts with `#` and no space is a setting put out of force; the tests put all of them in force.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable
from typing import NamedTuple

from backout.config.writing import is_writable, key, text, texts

_HEAD = """\
# What backout should know about this machine and the application on it.
# It is looked for in the working directory and above. Unknown keys are errors.
# Lines that start with "#" and no space are settings to switch on.

# An environment is a named set of hosts with what should hold there.
[environments.{name}]
hosts = ["local"]                      # "local" is this machine; any other one is reached by ssh, with -e
#become = "sudo"                       # how to become root on a host that is reached by ssh
services = {services}
watch = {watch}
#network = "packages"                  # in rehearsal: none | packages (only package indexes, the default) | host
#network_allow = ["git.example.com:443"]
"""

_FOREIGN = """
# Left out: somebody else may change what would run there as you, or the interpreter is gone.
"""

_CHECKS = """
# Checks tell whether the application is healthy: before a change, in its rehearsal, and after it.
# One that is healthy before and not after refuses the change, or takes it back.
"""

_CHECK = """\
[[environments.{name}.checks]]
name = {title}
run = {run}
"""

_MORE_CHECKS = """
#[[environments.{name}.checks]]
#name = "answers"
#http = "http://127.0.0.1:8000/health" # any answer below 400 is healthy
#within = "30s"                        # how long it may take to become healthy
# In a rehearsal no service runs: say how to start the application there. Without this, the check is only made live.
#rehearsal = {{ start = "cd /srv/shop && venv/bin/gunicorn app:app", http = "http://127.0.0.1:8000/health" }}
"""

_COMMANDS = """
# Commands by name: `backout rehearse NAME`, `backout run NAME`. `expect` says what each may touch.
# Anything else refuses it.
"""

_GUARDS = """
# Guards are rules that may refuse a change, each with its reason; none is on by default.
#[[guards]]
#rule = "max-jump"                      # a package may not cross a major version, unless --expect names it
#why = "an upgrade that nobody asked for took the shop down"
#override = true                        # --override max-jump --why TEXT passes it, and stays on record
"""

_INSTALL = """\
[commands.{name}]
run = {run}
expect = [{expect}]
"""

_MORE_COMMANDS = """
#[commands.puppet]
#run = "puppet agent -t"
#ok_exit = [0, 2]                      # 2 is Puppet's "there were changes"
#expect = ["file:/srv/shop/gunicorn.conf.py", "service:shop*"]
#network = "packages"
#timeout = "10m"
"""


class Found(NamedTuple):
    """What `init` found: unit names, and absolute paths of virtualenvs and of requirements files.

    `without_pip` are those of the virtualenvs that cannot be asked whether their packages agree. `foreign` are further
    virtualenvs that somebody else may change: what runs there runs as whoever runs the checks, so they are only named.
    """

    environment: str = "production"
    services: tuple[str, ...] = ()
    virtualenvs: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    without_pip: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


def render_template(found: Found) -> str:
    """Write the commented backout.toml for what was found. A name that TOML cannot hold is left out."""
    virtualenvs = _writable(found.virtualenvs)
    asked = [path for path in virtualenvs if path not in found.without_pip]
    watched = ["/etc", *dict.fromkeys(posixpath.dirname(path) for path in virtualenvs)]
    name = key(found.environment)
    parts = [
        _HEAD.format(name=name, services=texts(_writable(found.services)), watch=texts(watched)),
        *_left_out(_writable(found.foreign)),
        _CHECKS,
        *(_packages_check(name, path) for path in asked),
        _MORE_CHECKS.format(name=name),
        _COMMANDS,
        *_installs(asked, _writable(found.requirements)),
        _MORE_COMMANDS,
        _GUARDS,
    ]
    return "".join(parts)


def _left_out(virtualenvs: list[str]) -> Iterable[str]:
    if virtualenvs:
        yield _FOREIGN
        yield from (f"#   {text(path)}\n" for path in virtualenvs)


def _packages_check(name: str, virtualenv: str) -> str:
    run = f"{shlex.quote(virtualenv + '/bin/python')} -m pip check"
    return _CHECK.format(name=name, title=text(f"packages agree in {virtualenv}"), run=text(run))


def _installs(virtualenvs: list[str], requirements: list[str]) -> Iterable[str]:
    """Write one command for each requirements file that lies beside a virtualenv."""
    beside = {posixpath.dirname(path): path for path in virtualenvs}
    pairs = [(file, beside[posixpath.dirname(file)]) for file in requirements if posixpath.dirname(file) in beside]
    for number, (file, virtualenv) in enumerate(pairs, start=1):
        yield _INSTALL.format(
            name="packages" if number == 1 else f"packages-{number}",
            run=text(f"{shlex.quote(virtualenv + '/bin/pip')} install -r {shlex.quote(file)}"),
            expect=text(f"python-package:{virtualenv}:*"),
        )


def _writable(names: Iterable[str]) -> list[str]:
    """Leave out names with bytes that are not UTF-8: a TOML file cannot hold them."""
    return [*filter(is_writable, names)]
