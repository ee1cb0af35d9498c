"""A shell on a host, on the terminal of whoever sits here: the same ssh, the same shared connection, but it may ask."""

from __future__ import annotations

import base64
import os
import shlex
from collections.abc import Mapping, Sequence

from backout.link.ssh import options, settings_of

_NEEDS = (
    "for p in bash base64; do command -v $p >/dev/null 2>&1 || "
    r'{ printf "\033]633;backout;lacks;$p\007"; exit 97; }; done; '
)
"""Tells by a mark of backout.terminal.marks what is not there."""
_ROOT = 'if [ "$(id -u)" = 0 ]; then s=; else s="sudo -H --"; fi; '
_START = r"exec 9< <(printf %s \"\$1\" | base64 -d); exec bash --rcfile /dev/fd/9 -i"


def command(
    host: str, become: str | None, argv: Sequence[str], *, terminal: bool, environ: Mapping[str, str] = os.environ
) -> list[str]:
    """Give the command line of ssh that runs a command on a host, in its login's home.

    With a `terminal` it has one there, and both ssh and sudo may ask; else neither does.
    """
    line = shlex.join(argv)
    if become:
        sudo = "sudo -H --" if terminal else "sudo -n -H --"
        line = f'if [ "$(id -u)" = 0 ]; then exec {line}; else exec {sudo} {line}; fi'
    added = options(settings_of(host), environ, asks=terminal)
    return ["ssh", *added, "-tt" if terminal else "-T", "--", host, f"exec /bin/sh -c {shlex.quote(line)}"]


def words(host: str, become: str | None, script: str, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Give the command line of ssh that starts bash on a host, with a script that it reads in place of ~/.bashrc.

    Nothing is written there: the script is part of the command, whatever the login shell is, as in `ssh.command`.
    """
    read = base64.b64encode(script.encode()).decode()
    first = _NEEDS + (_ROOT if become else "s=; ")
    command = f'exec /bin/sh -c \'{first}exec $s bash -c "{_START}" bash "$1"\' sh {read}'
    return ["ssh", *options(settings_of(host), environ, asks=True), "-tt", "--", host, command]
