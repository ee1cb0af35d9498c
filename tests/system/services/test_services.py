"""Carrying out what a rehearsal asked for, and taking it back: under real systemd, and real nginx and cron without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

Host = Any  # conftest's; pytest's importlib mode gives tests no name to import it by

CARRY_OUT = """
from backout.errors import BackoutError
def carry_out(step):
    try:
        services.carry_out(step)
    except BackoutError as error:
        print(error.what)
"""


def carry_out(host: Host, unit: str, requests: str, *, active: bool | None = None, undoing: bool = False) -> str:
    """Carry out one unit's requests there, or take them back to the recorded state; the error's words, if any."""
    state = {"enabled": None, "active": active}
    step = f"Service({unit!r}, {tuple(requests.split())!r}, {state!r}, {state!r}, {undoing!r})"
    return str(host.python(f"{CARRY_OUT}\ncarry_out({step})"))


def pid(host: Host, unit: str = "probe") -> int:
    """Give a unit's main process."""
    return int(host.run("systemctl", "show", "--value", "-p", "MainPID", unit))


def state(host: Host, unit: str) -> tuple[bool | None, bool | None]:
    """Give (enabled, active) as backout sees them."""
    found: tuple[bool | None, bool | None] = eval(host.python(f"print(tuple(services.states([{unit!r}])[{unit!r}]))"))
    return found


@pytest.fixture
def probe(systemd_host: Host) -> Host:
    """The systemd host with its probe running."""
    systemd_host.run("systemctl", "start", "probe")
    return systemd_host


def test_states_are_those_of_systemd(probe: Host) -> None:
    """What `back` restores is what is recorded here."""
    probe.write("/etc/systemd/system/idle.service", "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=test.target\n")
    assert state(probe, "probe.service") == (True, True)
    assert state(probe, "idle.service") == (False, False)
    assert state(probe, "nope.service") == (False, False)
    assert probe.python("print(services.manager())") == "systemd"


def test_a_restart_is_carried_out_and_a_second_time_does_no_harm(probe: Host) -> None:
    """Service requests are at-least-once: after a crash they are carried out again (law 5)."""
    first = pid(probe)
    assert carry_out(probe, "probe.service", "restart") == ""
    second = pid(probe)
    assert carry_out(probe, "probe.service", "restart") == ""
    assert len({first, second, pid(probe)}) == 3


def test_a_failure_names_the_unit_in_the_managers_words(probe: Host) -> None:
    """Law 7: whoever reads it must know which of the twelve services it was, and why."""
    probe.write("/etc/systemd/system/broken.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
    said = carry_out(probe, "broken.service", "start")
    assert said.startswith("start broken.service failed: Job for broken.service failed")
    assert "nope.service not found" in carry_out(probe, "nope.service", "restart")


def test_a_changed_unit_file_is_read_again_first(probe: Host) -> None:
    """Otherwise systemd restarts the old command and everything looks fine until the next boot."""
    unit = probe.run("cat", "/etc/systemd/system/probe.service")
    probe.write("/etc/systemd/system/probe.service", unit.replace("100000", "200000"))
    carry_out(probe, "probe.service", "restart")
    assert probe.run("ps", "-o", "args=", str(pid(probe))) == "/bin/sleep 200000\n"


def test_taking_back_a_restart_runs_the_old_files(probe: Host) -> None:
    """`back` takes back files *and* services: with the old file in place the new process must go."""
    old = pid(probe)
    carry_out(probe, "probe.service", "restart", active=True, undoing=True)
    assert pid(probe) not in (0, old)


def test_a_unit_that_failed_too_often_starts_again_with_its_old_files(probe: Host) -> None:
    """The rescue comes just after the new files crashed in a loop; systemd's start limit must not refuse it."""
    unit = "[Unit]\nStartLimitIntervalSec=1000\n[Service]\nExecStart=/bin/sleep 1000\n"
    probe.write("/etc/systemd/system/loops.service", unit)
    probe.run("sh", "-c", "for time in 1 2 3 4 5; do systemctl restart loops; done")
    assert "too often" in probe.run("systemctl", "restart", "loops", code=1)
    assert carry_out(probe, "loops.service", "restart", active=True, undoing=True) == ""
    assert state(probe, "loops.service")[1] is True


@pytest.mark.parametrize(
    ("requests", "was"), [("start", False), ("stop", True), ("restart", False), ("stop start", True)]
)
def test_taking_back_restores_whether_it_ran(probe: Host, requests: str, was: bool) -> None:
    """A service that the change started is stopped, one that it stopped runs again."""
    probe.run("systemctl", "start" if was else "stop", "probe")
    carry_out(probe, "probe.service", requests, active=was)
    carry_out(probe, "probe.service", requests, active=was, undoing=True)
    assert state(probe, "probe.service")[1] is was


def test_what_enforces_is_noticed(probe: Host) -> None:
    """An agent that runs every half hour would put back what was just taken back."""
    assert probe.python("print(services.enforcers())") == "[]"
    probe.write("/etc/systemd/system/puppet.service", "[Service]\nExecStart=/bin/sleep 1000\n")
    probe.run("systemctl", "start", "puppet")
    probe.write("/etc/cron.d/pull", "# puppet agent\n0 * * * * root /usr/bin/ansible-pull -U git@example.com:site\n")
    probe.write("/etc/apt/apt.conf.d/20auto-upgrades", 'APT::Periodic::Unattended-Upgrade "1";\n')
    probe.write("/etc/systemd/system/apt-daily-upgrade.timer", "[Timer]\nOnCalendar=yearly\n")
    probe.write("/etc/systemd/system/apt-daily-upgrade.service", "[Service]\nExecStart=/bin/true\n")
    probe.run("systemctl", "start", "apt-daily-upgrade.timer")
    assert probe.python("print([tuple(e) for e in services.enforcers()])") == str([
        ("puppet", "puppet.service", "is running"),
        ("unattended-upgrades", "apt-daily-upgrade.timer", "its timer is active"),
        ("ansible-pull", None, "is run by /etc/cron.d/pull"),
    ])  # fmt: skip


@pytest.fixture
def nginx(sysv_host: Host) -> Iterator[Host]:
    """A host without systemd, nginx configured there and stopped; its network is the host's own."""
    site = "server { listen 127.0.0.1:8080; location / { return 200 old; } }\n"
    sysv_host.run("sh", "-c", "rm -f /etc/nginx/sites-enabled/*")
    sysv_host.write("/etc/nginx/sites-enabled/test", site)
    yield sysv_host
    sysv_host.run("sh", "-c", "service nginx stop; service cron stop", code=None)


def page(host: Host) -> str:
    """Ask nginx for its page, as a check does."""
    return str(
        host.python(
            "print(checks.run_checks([checks.Check('x', http='http://127.0.0.1:8080/')], 'after', {})[0].output)"
        )
    )


def test_nginx_is_started_reloaded_and_taken_back_through_its_init_script(nginx: Host) -> None:
    """Many small hosts, and most containers, have no systemd; the same change must work there."""
    assert nginx.python("print(services.manager())") == "sysv"
    assert state(nginx, "nginx.service") == (True, False)
    assert carry_out(nginx, "nginx.service", "start", active=False) == ""
    assert state(nginx, "nginx.service") == (True, True)
    assert page(nginx) == "200 OK\nold"
    nginx.run("sed", "-i", "s/old/new/", "/etc/nginx/sites-enabled/test")
    assert carry_out(nginx, "nginx.service", "restart", active=True) == ""
    assert page(nginx) == "200 OK\nnew"
    nginx.run("sed", "-i", "s/new/old/", "/etc/nginx/sites-enabled/test")
    assert carry_out(nginx, "nginx.service", "restart", active=True, undoing=True) == ""
    assert page(nginx) == "200 OK\nold"
    carry_out(nginx, "nginx.service", "start", active=False, undoing=True)
    assert state(nginx, "nginx.service") == (True, False)


def test_an_init_script_that_fails_is_named(nginx: Host) -> None:
    """The script's exit code is all that there is; it must not get lost."""
    nginx.write("/etc/nginx/sites-enabled/test", "nonsense;\n")
    assert carry_out(nginx, "nginx.service", "start").startswith("start nginx.service failed: ")


def test_a_daemon_that_keeps_its_output_open_keeps_nobody_waiting(nginx: Host) -> None:
    """A daemon inherits what its script was started with; who reads that to its end waits for as long as it runs."""
    assert state(nginx, "cron.service") == (False, False)
    assert carry_out(nginx, "cron.service", "start") == ""
    assert state(nginx, "cron.service") == (False, True)
    nginx.write("/etc/init.d/holds", "#!/bin/sh\n# status\nsetsid sleep 1000 &\n", "755")
    assert carry_out(nginx, "holds.service", "start") == ""


def test_a_view_without_systemd_knows_what_runs_on_the_host(nginx: Host) -> None:
    """The process is invisible in the view; what is recorded before answers for it."""
    nginx.run("service", "nginx", "start")
    view = nginx.view()
    assert view.run("service nginx status") == "nginx is running.\n"
    assert view.run("service nginx stop; service nginx status", code=3) == "nginx is not running.\n"
    assert page(nginx) == "200 OK\nold"
