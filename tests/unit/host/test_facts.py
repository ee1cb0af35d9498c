"""What each source tells, from texts as real machines give them."""

from __future__ import annotations

import os

import pytest

from backout.host import mounts, services
from backout.host.facts.environments import _VERSION
from backout.host.facts.ground import Ground
from backout.host.facts.looking import Looking, outermost
from backout.host.facts.ports import sockets
from backout.host.facts.system import assignments
from backout.host.facts.units import Units, environment, states, timer_value, timers

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   114        0 23146 1 ffff8f1 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 21387 1 ffff8f1 100 0 0 10 0
   2: 0501A8C0:0016 0201A8C0:D431 01 00000000:00000000 02:000A7214 00000000     0        0 95121 4 ffff8f1 20 4 30 10 -1
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 7
   1: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 8
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  100: 00000000:0202 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 19203 2 0000000 0
  101: 0501A8C0:8D12 0101A8C0:0035 01 00000000:00000000 00:00000000 00000000     0        0 19204 2 0000000 0
"""
SHOW = """\
Id=nginx.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
MainPID=812
Environment=LANG=C "WORDS=two words"

Id=apt-daily.timer
LoadState=loaded
ActiveState=active
UnitFileState=enabled
Unit=apt-daily.service
TimersCalendar={ OnCalendar=*-*-* 06,18:00:00 ; next_elapse=Wed 2026-11-25 06:12:31 UTC }
TimersCalendar={ OnCalendar=*-*-* 12:00:00 ; next_elapse=Wed 2026-11-25 12:00:00 UTC }
TimersMonotonic={ OnBootUSec=15min ; next_elapse=15min }

Id=user@1000.service
LoadState=loaded
ActiveState=active
UnitFileState=static

Id=gone.service
LoadState=not-found
ActiveState=inactive
UnitFileState=
"""
MOUNTS = b"""\
21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
22 21 0:5 / /proc rw - proc proc rw
23 21 8:2 / /srv rw - xfs /dev/sdb1 rw
24 21 8:2 /shop /mnt/shop rw - xfs /dev/sdb1 rw
25 21 0:44 / /mnt/far rw - nfs4 nas:/far rw
"""


def test_ports_are_those_that_listen() -> None:
    """A connection is no port of the machine's; addresses are written as people write them."""
    assert [(socket.subject, socket.inode) for socket in sockets("tcp", TCP)] == [
        ("tcp/127.0.0.1:5432", "23146"),
        ("tcp/0.0.0.0:22", "21387"),
    ]
    assert [socket.subject for socket in sockets("tcp6", TCP6)] == ["tcp/[::]:80", "tcp/[::ffff:127.0.0.1]:8080"]
    assert [(socket.subject, socket.port) for socket in sockets("udp", UDP)] == [("udp/0.0.0.0:514", 514)]


FILES = """\
nginx.service enabled enabled
spare.service disabled enabled
ssh.service alias -
apt-daily.timer enabled enabled
"""


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Units:
    """What systemctl says of the units above."""
    monkeypatch.setattr(services, "_call", lambda argv: services._Said(0, SHOW if "show" in argv else FILES))
    monkeypatch.setattr(services, "manager", lambda: services.SYSTEMD)
    rows = services.described(("Id",), ["*"])
    return Units({row["Id"]: row for row in rows}, services.installed(("service",)))


def test_services_are_told_loaded_or_not_and_what_passes_is_not(found: Units) -> None:
    """A unit file that nothing loaded is a service that is there and does not run; a login is none."""
    told = {fact.subject: fact.value for fact in states(Looking(b"/var/lib/backout"), found)}
    assert told == {
        "nginx.service": {"enabled": True, "active": True},
        "spare.service": {"enabled": False, "active": False},
    }


def test_a_timer_tells_what_it_starts_and_when_and_not_when_next(found: Units) -> None:
    """The next time is another one at each look."""
    (fact,) = timers(Looking(b"/var/lib/backout"), found)
    when = ["OnBootUSec=15min", "OnCalendar=*-*-* 06,18:00:00", "OnCalendar=*-*-* 12:00:00"]
    assert fact == ("timer", "apt-daily.timer", {"starts": "apt-daily.service", "when": when, "active": True})
    assert timer_value({}) == {"starts": "", "when": [], "active": False}


def test_an_environment_is_told_without_secrets_and_without_what_each_start_sets() -> None:
    """DATABASE_URL is what differs between staging and production, and its password is nobody's business."""
    raw = b"LANG=C\0INVOCATION_ID=17ab\0DATABASE_URL=postgres://shop:hunter2@db/shop\0API_TOKEN=hunter2\0bad name=x\0"
    told = environment(raw)
    assert sorted(told) == ["API_TOKEN", "DATABASE_URL", "LANG"]
    assert "hunter2" not in str(told)


def test_fields_are_read_as_a_shell_would() -> None:
    """os-release(5), locale.conf(5): quoted or not, and what cannot be read is left as it stands."""
    content = b'# x\nID=debian\nPRETTY_NAME="Debian GNU/Linux 12"\nODD=\'half\n=none\n'
    assert assignments(content) == {"ID": "debian", "PRETTY_NAME": "Debian GNU/Linux 12", "ODD": "'half"}


def test_a_path_within_another_is_walked_once() -> None:
    """The same fact twice would break the order on which everything rests."""
    assert outermost(["/srv/b/", "/srv/a-b", "/srv/a/c", "/srv/a", "/srv/a"]) == ("/srv/a", "/srv/a-b", "/srv/b")


def test_what_is_mounted_twice_is_searched_once_and_each_place_has_its_kind() -> None:
    """A bind mount of an environment is the same environment."""
    ground = Ground(mounts.parse(MOUNTS))
    assert ground.twins() == {"/mnt/shop"}
    assert [ground.on(path) for path in ("/srv/x", "/mnt/far/y", "/home")] == [b"xfs", b"nfs4", b"ext4"]


@pytest.mark.parametrize("text", ["home = /usr/bin\nversion = 3.11.2\n", "version_info = 3.11.2.final.0\n"])
def test_the_version_is_what_venv_and_virtualenv_note(text: str) -> None:
    """Nobody runs an interpreter that was found somewhere on a disk, least of all as root."""
    match = _VERSION.search(text)
    assert match is not None
    assert match[1] == "3.11.2"


def test_many_that_cannot_be_read_are_one_line(tmp_path: object) -> None:
    """Ten thousand lines of the same would hide the one that matters."""
    looking = Looking(os.fsencode(str(tmp_path)))
    for number in range(5):
        looking.unread(f"/etc/secret{number}", PermissionError(13, "Permission denied"))
    looking.limit("one")
    looking.limit("one")
    (one, many) = looking.all_limits()
    assert one == "one"
    assert many.endswith("/etc/secret2 and 2 more (Permission denied).")
