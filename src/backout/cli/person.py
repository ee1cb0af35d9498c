"""Who gives a command."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # who only asks for a name must not wait for it
    from backout.flow.session import Who


def who() -> Who:
    """Give the login name, or the number where there is none, and who is behind sudo."""
    from backout.flow.session import Who

    return Who(_login(), os.environ.get("SUDO_USER"))


def person() -> str:
    """Name the person at the terminal, not the privilege."""
    return os.environ.get("SUDO_USER") or _login()


def _login() -> str:
    name = os.environ.get("LOGNAME") or os.environ.get("USER")
    if name:
        return name
    from getpass import getuser  # asks the system's database

    try:
        return getuser()
    except (OSError, KeyError):
        return str(os.getuid())
