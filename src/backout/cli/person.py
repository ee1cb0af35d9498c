"""Who gives a command."""

from __future__ import annotations

import getpass
import os

from backout.flow.session import Who


def who() -> Who:
    """Give the login name, or the number where there is none, and who is behind sudo."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = str(os.getuid())
    return Who(name, os.environ.get("SUDO_USER"))
