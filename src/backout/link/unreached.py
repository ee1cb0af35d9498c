"""Why a host was not reached: what ssh, sudo or the host itself said, as errors that lead on."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import NamedTuple

from backout.errors import BackoutError, FailedError, NotPossibleError

SSH_FAILED = 255
"""How ssh ends when the connection failed, not the command (ssh(1), EXIT STATUS)."""


class Destination(NamedTuple):
    """A host as it stands in backout.toml, and what the user's ssh configuration makes of it (`ssh -G`)."""

    host: str
    settings: Mapping[str, str]

    @property
    def word(self) -> str:
        """Give the host for a command line."""
        return shlex.quote(self.host)

    @property
    def address(self) -> str:
        """Tell where the connection goes."""
        return f"{self.settings.get('hostname', self.host)} port {self.settings.get('port', '22')}"

    @property
    def user(self) -> str:
        """Tell who logs in there."""
        return self.settings.get("user", "the user")


class _Trouble(NamedTuple):
    sign: str
    what: str
    next: str


_TROUBLES = (
    _Trouble(
        "IDENTIFICATION HAS CHANGED",
        "{host}: its host key is not the one that is known here. Somebody may have put another machine in its place.",
        "Find out why. Where the host was set up anew, compare the key with what its console says, "
        "then: ssh-keygen {file}-R {known_as}",
    ),
    _Trouble(
        "Host key verification failed|host key is known for",
        "{host}: its host key is not known here.",
        "Connect once by hand, and compare the key that is shown with what the host's console says: ssh {host}",
    ),
    _Trouble(
        "Could not resolve hostname",
        "{host}: there is no host of that name: {said}",
        "Correct hosts in backout.toml, or give it a HostName in ~/.ssh/config.",
    ),
    _Trouble(
        "Connection refused",
        "{host}: nothing answers for ssh at {address}: {said}",
        "See that sshd runs there, and that the port is right: ssh {host}",
    ),
    _Trouble(
        "timed out|Timeout|not responding",
        "{host}: no answer in time from {address}: {said}",
        "See that the host is up and can be reached: ssh {host}",
    ),
    _Trouble(
        "No route to host|unreachable",
        "{host}: no way leads to {address}: {said}",
        "See that the host is up and can be reached: ssh {host}",
    ),
    _Trouble(
        "Permission denied|Too many authentication failures",
        "{host}: it does not let {user} in with the keys that are offered.",
        "This must work without a question: ssh -o BatchMode=yes {host} true",
    ),
    _Trouble(
        "by UNKNOWN port",  # with a shared connection ssh lets the jump's own words go nowhere
        "{host}: the connection is made through {jump}, and that did not come about.",
        "This must work without a question: ssh -o BatchMode=yes {host} true",
    ),
    _Trouble(
        "Bad configuration option|Bad owner or permissions|terminating, .* bad configuration",
        "ssh does not read its configuration: {said}",
        "Mend that: ssh -G {host}",
    ),
)


def last_line(said: str) -> str:
    """Give the last thing that was said, or that nothing was."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing."


def not_connected(to: Destination, said: str) -> BackoutError:
    """Explain what ssh said when it could not connect."""
    for trouble in _TROUBLES:
        if re.search(trouble.sign, said):
            break
    else:
        trouble = _Trouble("", "{host}: ssh could not connect: {said}", "See what it says: ssh -v {host} true")
    file = re.search(r"Offending .* key in (\S+):\d+", said)
    said = next((line for line in said.splitlines() if trouble.sign and re.search(trouble.sign, line)), said)
    words = {
        "host": to.word,
        "address": to.address,
        "user": to.user,
        "jump": to.settings.get("proxyjump", "a ProxyCommand"),
        "said": last_line(said),
        "known_as": shlex.quote(_known_as(to.settings) or to.host),
        "file": f"-f {shlex.quote(file[1])} " if file else "",
    }
    return FailedError(trouble.what.format(**words), next=trouble.next.format(**words))


def _known_as(settings: Mapping[str, str]) -> str | None:
    """Give the name under which ssh keeps the host's key."""
    name = settings.get("hostkeyalias") or settings.get("hostname")
    port = settings.get("port", "22")
    return name if name is None or port == "22" or "hostkeyalias" in settings else f"[{name}]:{port}"


def silent(to: Destination, limit_s: float) -> BackoutError:
    """Tell of a host that lets us in, or does not, but never comes to the point."""
    return FailedError(
        f"{to.word}: no answer from {to.address} within {limit_s:.0f} seconds.",
        next=f"See how far it comes, and what its login does: ssh -v {to.word} true",
    )


def sudo_asks(to: Destination, said: str) -> BackoutError:
    """Tell of a sudo that does not let us through unasked."""
    return NotPossibleError(
        f"{to.word}: sudo does not let {to.user} through without a question: {last_line(said)}",
        next=f'Give it the line "{to.user} ALL=(root) NOPASSWD: ALL" there with visudo, or log in as root: '
        f'hosts = ["root@{to.host.rpartition("@")[2]}"].',
    )


def no_python(to: Destination, found: str) -> BackoutError:
    """Tell of a host without a Python that we can use; `found` are the versions of those that are too old."""
    there = f"its Python is {' and '.join(found.split())}" if found else "it has no python3"
    return NotPossibleError(f"{to.word}: {there}; Python 3.9 or newer is needed.", next="Install python3 there.")


def not_kept(to: Destination, why: str) -> BackoutError:
    """Tell of a host that has no place for its half."""
    return FailedError(f"{to.word}: the host half cannot be kept there: {why}.", next="Mend that, then try again.")


def damaged(to: Destination) -> BackoutError:
    """Tell that what arrived is not what was sent, or cannot be kept as it is."""
    return FailedError(f"{to.word}: the host half did not arrive whole; it was not executed.", next="Try again.")


def no_start(to: Destination, code: int, said: str) -> BackoutError:
    """Tell of a login that ends before anything of ours is started."""
    return FailedError(
        f"{to.word}: the login there ended before the host half began (exit code {code}): {last_line(said)}",
        next=f"This must work: ssh {to.word} python3 --version",
    )


def cut(to: Destination, code: int, said: str) -> BackoutError:
    """Tell of a link that ended while it was used."""
    how = "was cut" if code == SSH_FAILED else f"ended unexpectedly (exit code {code})"
    return FailedError(
        f"The link to {to.word} {how}: {last_line(said)}",
        state="A rehearsal leaves nothing there; a change in flight is finished or taken back by recover.",
        next="backout recover",
    )


def no_ssh() -> BackoutError:
    """Tell that there is no OpenSSH client here."""
    return NotPossibleError("There is no ssh on this machine.", next="Install the OpenSSH client.")
