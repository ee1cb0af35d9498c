"""What would undo a fix, for real: `panic` finds it and pauses it, `calm` leads to where it is started again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.terminal import Terminal

Host = Any  # conftest's; pytest's importlib mode gives tests no name to import it by

AGENT = """[Service]
ExecStart=/bin/sh -c 'while :; do echo workers = 80 >/srv/shop.conf; sleep 0.1; done'
[Install]
WantedBy=test.target
"""
TIMER = "[Timer]\nOnActiveSec=1d\nUnit=chef-client.service\n[Install]\nWantedBy=test.target\n"
CONFIG = """[environments.production]
hosts = ["local"]
[[environments.production.checks]]
name = "configured"
run = "grep -q ^workers /srv/shop.conf"
"""
UNITS = ("puppet.service", "chef-client.timer")
OWN = "BACKOUT_STATE=/srv/state XDG_STATE_HOME=/srv/user PYTHONPATH=/mnt/source/src"
BACKOUT = f"cd /srv && exec env {OWN} /mnt/source/.venv/bin/python -m backout"


@pytest.fixture
def managed(systemd_host: Host) -> Iterator[Host]:
    """A host on which an agent puts its own idea of a file back again and again, and a timer waits."""
    host = systemd_host
    host.write("/srv/backout.toml", CONFIG)
    host.write("/etc/systemd/system/puppet.service", AGENT)
    host.write("/etc/systemd/system/chef-client.timer", TIMER)
    host.write("/etc/systemd/system/chef-client.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
    host.run("systemctl", "enable", "--now", *UNITS)
    yield host
    host.run("systemctl", "disable", "--now", *UNITS)


def states(host: Host) -> list[tuple[str, str]]:
    """How each unit is: whether it is active, and whether it starts at boot."""
    return [
        (host.run("systemctl", "is-active", u, code=None).strip(), host.run("systemctl", "is-enabled", u).strip())
        for u in UNITS
    ]


def backout(host: Host, *words: str) -> str:
    """Run backout there, with nobody at a terminal."""
    return str(host.run("sh", "-c", f"{BACKOUT} {shlex.join(words)}"))


def test_what_would_undo_a_fix_is_paused_from_panic_and_started_as_calm_says(managed: Host, tmp_path: Path) -> None:
    """The fix must stand while people look, and the next morning the agent must be at work again."""
    words = ("nsenter", "-t", str(managed.pid), "-m", "-p", "-n", "-u", "-i", "-C", "sh", "-c", f"{BACKOUT} panic slow")
    terminal = Terminal(words, tmp_path, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LOGNAME": "ada"})
    try:
        shown = terminal.until(r"Pause .* on local\? \[y/N\] ")
        assert "puppet is running" in shown
        assert "chef-client its timer is active" in shown
        terminal.says("y", "What do you see")
        terminal.says("\n\n", r"local: puppet\.service, chef-client\.timer, since")
        again = terminal.until(r"to start again: backout back \S+\r\n").split()[-1]
        assert terminal.end() == 0
    finally:
        terminal.close()
    assert states(managed) == [("inactive", "enabled")] * 2
    managed.write("/srv/shop.conf", "workers = 2\n")
    refused = managed.run("sh", "-c", f"{BACKOUT} back", code=2)
    assert f"backout back {again} ends a pause." in refused
    assert states(managed) == [("inactive", "enabled")] * 2
    calm = json.loads(backout(managed, "--json", "calm", "--word", "it is fast again"))
    (paused,) = calm["paused"]
    assert (paused["units"], paused["start"]) == ([*UNITS], f"backout back {again}")
    assert managed.run("cat", "/srv/shop.conf") == "workers = 2\n"
    backout(managed, *paused["start"].split()[1:])
    assert states(managed) == [("active", "enabled")] * 2
    assert json.loads(backout(managed, "--json", "calm"))["paused"] == []


def test_who_may_not_ask_the_service_manager_is_told_so(managed: Host) -> None:
    """As an ordinary user, without D-Bus: that nothing is listed would read as if nothing could undo a fix."""
    asked = "from backout.host.services import enforcers; print([tuple(one) for one in enforcers()])"
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    managed.run("sh", "-c", "cp -r /mnt/source/src /srv/src && chmod -R a+rX /srv/src")
    told = managed.run(*become, "env", "PYTHONPATH=/srv/src", "/usr/bin/python3", "-B", "-c", asked)
    assert "('systemd', None, 'cannot be asked" in told
    assert "systemd" not in managed.python("print(services.enforcers())")


def test_a_script_pauses_unasked_and_a_second_time_has_nothing_to_do(managed: Host) -> None:
    """An alarm at night asks nobody; it says what it stopped, and with what that is started again."""
    told = json.loads(backout(managed, "--json", "panic", "--pause"))
    (paused,) = told["paused"]
    assert (paused["units"], told["enforcers"], told["changes"]) == ([*UNITS], [], [])
    assert states(managed) == [("inactive", "enabled")] * 2
    again = backout(managed, "panic", "--pause")
    assert f"  to start again: {' '.join(paused['start'])}\n" in again
    assert len(json.loads(backout(managed, "--json", "panic"))["paused"]) == 1
    backout(managed, *paused["start"][1:])
    assert states(managed) == [("active", "enabled")] * 2
