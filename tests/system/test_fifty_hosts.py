"""Fifty hosts, each a real sshd: what is wrong with three of them is said of these, and the rest goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kit.sshd import World, world

NAMES = [f"web{number}" for number in range(50)]
FULL, ODD, AWAY = "web7", "web11", "web23"
CONFIG = f"""
[environments.fleet]
hosts = {NAMES}
network = "none"
canary = 1
wave = "50%"
"""


@pytest.fixture
def fleet() -> Iterator[World]:
    """Give fifty hosts with a file each: one has no space left, one has another file, one is not to be reached."""
    with world(bare=True) as made:
        hosts = made.add_all(NAMES)
        made.environments(CONFIG)
        for host in hosts:
            (host.site / "app.conf").write_text("workers = 2\n" if host.name != ODD else "workers = 16\n")
        with pytest.raises(OSError, match="No space left"):
            (made.hosts[FULL].site / "ballast").write_bytes(bytes(64 << 20))
        made.cut(AWAY)
        yield made


def test_fifty_hosts_are_looked_at_and_changed_whatever_is_wrong_with_three(fleet: World) -> None:
    """A full disk, an odd one out and a cut cable are each that host's own affair, and each is said."""
    looked, code = fleet.backout.json("look", "fleet", "--kind", "os", "--kind", "user")
    assert (code, [row["host"] for row in looked["failed"]]) == (1, [AWAY])
    change = f"sed -i s/2/4/ {fleet.site}/app.conf"
    document, code = fleet.backout.json("run", "-e", "fleet", "--yes", "--", change)
    assert code == 1, document
    became = {row["host"]: row for row in document["rollout"]["hosts"]}
    assert list(became) == NAMES
    assert {name for name in NAMES if became[name]["state"] != "kept"} == {FULL, ODD, AWAY}
    assert "space" in became[FULL]["what"], became[FULL]
    assert became[ODD]["state"] == "refused", became[ODD]
    assert AWAY in became[AWAY]["what"], became[AWAY]
    found = {name: (fleet.hosts[name].site / "app.conf").read_text() for name in NAMES}
    assert found == {
        **dict.fromkeys(NAMES, "workers = 4\n"),
        FULL: "workers = 2\n",
        AWAY: "workers = 2\n",
        ODD: "workers = 16\n",
    }
