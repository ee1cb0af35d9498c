"""What a look tells of units, asked of real systemd: services loaded or not, timers, the environment of what runs."""

from __future__ import annotations

import json
from typing import Any

Host = Any  # conftest's; pytest's importlib mode gives tests no name to import it by

LOOK = """
import json
from backout.host.facts import units
from backout.host.facts.looking import Looking
looking = Looking(b'/var/lib/backout', (), ['shop', 'away'])
found = units.units(looking)
told = {source.__name__: {fact.subject: fact.value for fact in source(looking, found)}
        for source in (units.states, units.timers, units.variables)}
print(json.dumps({**told, 'limits': looking.limits}))
"""
SHOP = """[Service]
Environment=LANG=C.UTF-8 "MOTTO=two words" DATABASE_PASSWORD=hunter2
ExecStart=/bin/sleep 100000
[Install]
WantedBy=test.target
"""
TIMER = """[Unit]
DefaultDependencies=no
[Timer]
OnCalendar=*-*-* 04:00:00
OnUnitActiveSec=1h
Unit=away.service
[Install]
WantedBy=test.target
"""


def test_units_are_told_as_they_are(systemd_host: Host) -> None:
    """Started or not, enabled or not, loaded or only there as a file; the same at the next look."""
    systemd_host.write("/etc/systemd/system/shop.service", SHOP)
    systemd_host.write("/etc/systemd/system/away.service", SHOP.replace("hunter2", "hunter3"))
    systemd_host.write("/etc/systemd/system/night.timer", TIMER)
    systemd_host.run("systemctl", "daemon-reload")
    systemd_host.run("systemctl", "enable", "shop.service")
    systemd_host.run("systemctl", "start", "shop.service", "night.timer")
    told = json.loads(systemd_host.python(LOOK))
    assert told["states"]["shop.service"] == {"enabled": True, "active": True}
    assert told["states"]["away.service"] == {"enabled": False, "active": False}
    assert told["timers"]["night.timer"] == {
        "starts": "away.service", "when": ["OnCalendar=*-*-* 04:00:00", "OnUnitActiveUSec=1h"], "active": True
    }  # fmt: skip
    variables = told["variables"]
    assert (variables["shop.service#MOTTO"], variables["away.service#MOTTO"]) == ("two words", "two words")
    assert variables["shop.service#DATABASE_PASSWORD"] == variables["away.service#DATABASE_PASSWORD"] == "••••"
    assert "shop.service#INVOCATION_ID" not in variables
    assert told["limits"] == [
        "away.service: no environment of a running process could be read; the unit's own is told."
    ]
    assert json.loads(systemd_host.python(LOOK)) == told
