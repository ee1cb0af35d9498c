"""How mail is handed over: a value, from the configuration to what sends it."""

from __future__ import annotations

from typing import NamedTuple


class Mail(NamedTuple):
    """Whom to give mail to: `server` is HOST or HOST:PORT; without one it is this machine's.

    The password is in a file or a variable, read when it is needed. `tls` is `starttls` (where the server offers it),
    `tls` from the first byte, or `none`. `ca_file` holds certificates (PEM) that are trusted besides the system's.
    """

    server: str = "localhost:25"
    sender: str = ""
    user: str = ""
    password_file: str = ""
    password_env: str = ""
    tls: str = "starttls"
    ca_file: str = ""
