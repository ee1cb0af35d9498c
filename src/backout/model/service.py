"""Service requests: what a rehearsal asked of the service manager."""

from __future__ import annotations

from typing import NamedTuple

LIVE_ACTIONS = (
    "start",
    "stop",
    "restart",
    "reload",
    "try-restart",
    "reload-or-restart",
    "try-reload-or-restart",
    "force-reload",
    "kill",
)
"""Actions that act on processes: recorded in a rehearsal, carried out after the apply."""


def unit_name(name: str) -> str:
    """Give the full name of a unit, as systemctl(1) takes it: nginx is nginx.service."""
    return name if "." in name else f"{name}.service"


class ServiceRequest(NamedTuple):
    """One request, in the order in which it was made: start, stop, restart, reload, daemon-reload.

    `unit` is a full unit name such as nginx.service, or "" for manager-wide requests (daemon-reload).
    """

    action: str
    unit: str


class ServiceState(NamedTuple):
    """What is known of a unit on the host: whether it starts at boot, whether it runs; None: unknown."""

    enabled: bool | None = None
    active: bool | None = None
