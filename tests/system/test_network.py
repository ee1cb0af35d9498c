"""The rehearsal's network in real namespaces: what it shows, that nothing gets out, and the one way that does."""

from __future__ import annotations

import ctypes
import os
import pickle
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from backout.host import indexes
from backout.host.egress import Refused, Traffic, limits_from, proxy_environment
from backout.host.netlink import ETHERNET, IFF_RUNNING, IFF_UP, Link
from backout.host.network import Interfaces, Mirror, mirror, snapshot
from backout.host.proxy import Proxy, listen

NEWUSER, NEWNET, DUMPABLE = 0x10000000, 0x40000000, 4
SOMEBODY = 12345
"""A user id that owns nothing."""

libc = ctypes.CDLL(None, use_errno=True)
as_root_and_not = pytest.mark.parametrize("uid", [0, SOMEBODY], ids=["root", "rootless"])


class Child:
    """A forked process in a network namespace of its own, which runs a function there and tells its result."""

    def __init__(self, function: Callable[[], Any], uid: int = 0) -> None:
        """Start it; as another user it has a user namespace too, with its own id mapped to itself."""
        reading, writing = os.pipe()
        self._pid = os.fork()
        if self._pid:
            os.close(writing)
            self._answer = reading
            return
        os.close(reading)
        try:
            enter_namespace(uid)
            result = function()
        except BaseException as error:  # noqa: BLE001 - told to the test, which fails with it
            result = error
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(result, pipe)
        os._exit(0)

    def result(self) -> Any:
        """Wait for its end."""
        with os.fdopen(self._answer, "rb") as pipe:
            told = pipe.read()
        os.waitpid(self._pid, 0)
        result = pickle.loads(told)
        if isinstance(result, BaseException):
            raise result
        return result


def enter_namespace(uid: int) -> None:
    """Leave the host's network, as root or as a user who may not do so otherwise."""
    if uid:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        assert libc.prctl(DUMPABLE, 1, 0, 0, 0) == 0  # else /proc/self stays root's
    assert libc.unshare(NEWNET | (NEWUSER if uid else 0)) == 0, os.strerror(ctypes.get_errno())
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{uid} {uid} 1")):
            Path("/proc/self", name).write_text(text)


def output(command: str) -> str:
    """Run a shell command, give what it prints."""
    return subprocess.run(["/bin/sh", "-ec", command], capture_output=True, text=True, check=True).stdout


def told_by_iproute() -> str:
    """What the usual tool shows: an observer that shares no code with ours. Lifetimes tick; veth shows its pair."""
    shown = output("ip -o link; ip -o addr; ip route show table all; ip -6 route show table all")
    shown = re.sub(r"@\S+:|link-netnsid \d+|qdisc \w+|,M-DOWN|(valid|preferred)_lft \w+|expires \d+sec", "", shown)
    return "\n".join(sorted(line.replace(":", "").strip() for line in shown.splitlines()))


def essence(interfaces: Interfaces) -> tuple[set[Any], set[Any], set[Any]]:
    """What must be the same, lifetimes aside."""
    names = {link.ifindex: link.name for link in interfaces.links}
    links = {(link.name, link.mac, link.mtu, link.flags & (IFF_UP | IFF_RUNNING)) for link in interfaces.links}
    addresses = {(names[address.ifindex], str(address), address.flags) for address in interfaces.addresses}
    return links, addresses, {(names.get(route.ifindex), *route[2:]) for route in interfaces.routes}


@as_root_and_not
def test_the_host_s_interfaces_are_there(uid: int) -> None:
    """Otherwise Ansible and Puppet write other files in a rehearsal than live (traps A8)."""
    host, shown = snapshot(), told_by_iproute()

    def look() -> tuple[Mirror, Interfaces, str]:
        return mirror(host), snapshot(), told_by_iproute()

    made, inside, shown_inside = Child(look, uid).result()
    assert essence(inside) == essence(host)
    assert shown_inside == shown
    assert not [limit for limit in made.limits if "missing" in limit]


BUSY = """
ip link set lo up
ip addr add 203.0.113.9/32 dev lo
ip link add eth0 mtu 1400 type veth peer name p0
ip link set p0 addrgenmode none up
ip link set eth0 address 02:00:00:00:00:77 up
ip addr add 192.0.2.10/24 brd + dev eth0
ip addr add 192.0.2.11/24 dev eth0 label eth0:1
ip addr add 198.51.100.1/32 dev eth0 noprefixroute
ip addr add 2001:db8::5/64 dev eth0 nodad
ip link add br0 type bridge
ip link set br0 address 02:00:00:00:00:99 addrgenmode none up
ip link add port type veth peer name p1
ip link set port master br0 addrgenmode none up
ip link set p1 addrgenmode none up
ip addr add 10.9.0.1/16 dev br0
ip link add idle type veth peer name p2
ip addr add 10.8.0.1/24 dev idle
ip route add default via 192.0.2.1 dev eth0 proto dhcp src 192.0.2.10 metric 100
ip route add 10.7.0.0/16 dev eth0 scope link
ip route add default via 192.0.2.1 dev eth0 table 100
ip route add 10.6.0.0/16 nexthop via 192.0.2.1 dev eth0 nexthop via 10.9.0.2 dev br0 weight 3
ip route add unreachable 10.5.0.0/16
ip route add 10.4.0.0/16 via 172.16.0.1 dev eth0 onlink mtu 1200
ip -6 route add default via 2001:db8::1 dev eth0
ip -6 route add blackhole 2001:db8:f::/48
"""


def test_a_busy_host_is_mirrored_too() -> None:
    """Bridges, several addresses, routing tables, multipath: a server with containers has them all."""

    def look() -> tuple[Interfaces, str, Mirror, Interfaces, str]:
        output(BUSY)
        settled()
        host, shown = snapshot(), told_by_iproute()
        enter_namespace(0)
        return host, shown, mirror(host), snapshot(), told_by_iproute()

    host, shown, made, inside, shown_inside = Child(look).result()
    assert made.limits == ()
    assert essence(inside) == essence(host)
    assert shown_inside == shown


def settled() -> None:
    """Wait until carriers are known and eth0 has its link-local address: the kernel is in no hurry."""
    up, own = "", ""
    while up.count("state UP") != len(("eth0", "p0", "br0", "port", "p1")) or "fe80" not in own or "tentative" in own:
        threading.Event().wait(0.02)
        up, own = output("ip -o link show up"), output("ip -6 addr show dev eth0")


def test_a_host_without_ipv6_is_mirrored_without_it() -> None:
    """A fresh namespace has ::1, whatever the host's settings are; facts would show it."""
    host = snapshot()
    without = host._replace(addresses=tuple(a for a in host.addresses if a.family == socket.AF_INET))

    def look() -> Interfaces:
        mirror(without)
        return snapshot()

    assert {address.family for address in Child(look).result().addresses} == {socket.AF_INET}


class Outcome(NamedTuple):
    """What mirroring gave, and what is there."""

    made: Mirror
    inside: Interfaces


def test_what_cannot_be_mirrored_is_named_and_the_rest_is_there() -> None:
    """An exotic interface must not keep a whole host from rehearsing; nor may it be missing without a word."""
    plain = Link(90, "plain", "", ETHERNET, IFF_UP, b"\2\0\0\0\0\1", 1500, 1000, 0, 0)
    tunnel = plain._replace(ifindex=91, name="wg0", kind="wireguard", hardware=65534, mac=b"")
    impossible = plain._replace(ifindex=92, name="bad0", mtu=7)
    taken = plain._replace(ifindex=1, name="again")
    host = Interfaces((plain, tunnel, impossible, taken), (), ())

    outcome: Outcome = Child(lambda: Outcome(mirror(host), snapshot())).result()
    assert {link.name for link in outcome.inside.links} == {"lo", "plain", "wg0", "again"}
    (bad,) = (limit for limit in outcome.made.limits if "bad0" in limit)
    assert bad.startswith(
        "In the rehearsal, the interface bad0 is missing or not as on the host: the kernel does not make"
    )
    assert "plain Ethernet interfaces of the same name and addresses stand in for wg0 (wireguard)." in str(outcome.made)
    assert "the interface plain " not in str(outcome.made.limits)


@as_root_and_not
def test_nothing_gets_out(uid: int) -> None:
    """Law 1: no service of this host, and no other machine, hears of a rehearsal."""
    host = snapshot()
    own = [str(a).split("/")[0] for a in host.addresses if a.family == socket.AF_INET]
    elsewhere = ["192.0.2.1", "198.51.100.1", "203.0.113.1"]

    with socket.create_server(("0.0.0.0", 0)) as service:
        port = service.getsockname()[1]

        def attempt() -> list[str]:
            kept = mirror(host)
            reached = []
            for address in [*own, *elsewhere]:
                try:
                    socket.create_connection((address, port), timeout=20).close()
                    reached.append(address)
                except OSError:
                    pass
            os.close(kept.beyond)
            return reached

        assert Child(attempt, uid).result() == []
        with socket.create_connection((own[0], port)):  # the service was there all the time
            pass


def test_closing_the_far_side_ends_the_mirror() -> None:
    """The caller decides how long the interfaces live; nothing of them stays behind on the host."""
    host = snapshot()

    def look() -> int:
        os.close(mirror(host).beyond)
        while any(link.kind == "veth" for link in snapshot().links):
            threading.Event().wait(0.01)
        return len(snapshot().links)

    assert Child(look).result() >= 1
    assert essence(snapshot()) == essence(host)


def through_proxy(
    act: Callable[[dict[str, str]], Any], allowed: set[tuple[str, int]], uid: int = 0
) -> tuple[Any, Traffic]:
    """Act in a mirrored namespace, with the proxy as the only way out; give what came of it, and the traffic."""
    host = snapshot()
    ours, theirs = socket.socketpair()

    def run() -> Any:
        ours.close()
        kept = mirror(host)
        with listen() as listener:
            port = listener.getsockname()[1]
            socket.send_fds(theirs, [b"x"], [listener.fileno()])
        clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        try:
            return act({**clean, **proxy_environment(port)})
        finally:
            os.close(kept.beyond)

    child = Child(run, uid)
    theirs.close()
    with ours:
        descriptors = socket.recv_fds(ours, 1, 1)[1]
    proxy = Proxy(socket.socket(fileno=descriptors[0]), allowed)
    proxy.start()
    try:
        return child.result(), proxy.traffic()
    finally:
        proxy.stop()


def command(*arguments: str | Path) -> Callable[[dict[str, str]], subprocess.CompletedProcess[str]]:
    """Run a command with the environment that leads to the proxy."""
    return lambda environ: subprocess.run(arguments, env=environ, capture_output=True, text=True, check=False)


PYPI = {("pypi.org", 443), ("files.pythonhosted.org", 443)}


def pip_download(target: Path) -> Callable[[dict[str, str]], subprocess.CompletedProcess[str]]:
    """Fetch a small package from PyPI with a pip of our own."""
    subprocess.run([sys.executable, "-m", "venv", target / "venv"], check=True)
    options = ["--isolated", "--no-cache-dir", "--no-deps", "--disable-pip-version-check", "--retries", "1"]
    index = ["--index-url", "https://pypi.org/simple", "--dest", str(target / "wheels")]
    return command(target / "venv/bin/pip", "download", *options, *index, "six==1.17.0")


def test_pip_downloads_through_the_proxy_and_nothing_is_left(tmp_path: Path) -> None:
    """The default mode must let a real pip work, where no name resolves and no route leads out (traps D3)."""
    descriptors, threads = set(os.listdir("/proc/self/fd")), set(threading.enumerate())
    done, traffic = through_proxy(pip_download(tmp_path), PYPI)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "wheels").iterdir()] == ["six-1.17.0-py2.py3-none-any.whl"]
    assert {(reached.host, reached.port) for reached in traffic.reached} == PYPI
    assert all(reached.sent_bytes for reached in traffic.reached)
    assert traffic.refused == ()
    assert set(threading.enumerate()) == threads
    assert set(os.listdir("/proc/self/fd")) == descriptors


def test_pip_says_that_an_index_is_not_opened(tmp_path: Path) -> None:
    """Who rehearses sees at once why, in pip's own words and in the report's."""
    done, traffic = through_proxy(pip_download(tmp_path), {("files.pythonhosted.org", 443)})
    assert done.returncode != 0
    assert "403 Not opened for this rehearsal" in done.stdout + done.stderr
    assert [(refused.host, refused.port) for refused in traffic.refused] == [("pypi.org", 443)]
    assert "kept from reaching: pypi.org:443" in limits_from(traffic)[0]


def read(path: str) -> str | None:
    """Read as the host half does."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def names(folder: str) -> list[str]:
    """List as the host half does."""
    return os.listdir(folder) if os.path.isdir(folder) else []


def test_apt_fetches_from_the_configured_mirror(tmp_path: Path) -> None:
    """What this very host is configured for is enough for its own package manager: plain HTTP, no DNS."""
    configured = indexes.package_destinations(os.environ, "/", read, names)
    mirror_host = next(to.host for to in configured if "apt" in to.source and (to.host, to.port)[1] == 80)
    target = tmp_path / "InRelease"
    fetch = command(
        "/usr/lib/apt/apt-helper", "download-file", f"http://{mirror_host}/debian/dists/bookworm/InRelease", target
    )
    done, traffic = through_proxy(fetch, {(to.host, to.port) for to in configured})
    assert done.returncode == 0, done.stderr
    assert target.read_text().startswith("-----BEGIN PGP SIGNED MESSAGE-----")
    assert [(reached.host, reached.port) for reached in traffic.reached] == [(mirror_host, 80)]


@as_root_and_not
def test_the_proxy_works_for_everybody(uid: int) -> None:
    """Rootless rehearsals have the same way out, and the same list."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        allowed = ("127.0.0.1", service.getsockname()[1])

        def ask(environ: dict[str, str]) -> tuple[bytes, bytes]:
            proxy = ("127.0.0.1", int(environ["http_proxy"].rsplit(":", 1)[1]))
            return tunnelled(proxy, allowed), tunnelled(proxy, ("127.0.0.1", 1))

        (reached, refused), traffic = through_proxy(ask, {allowed}, uid)
    assert (reached, refused) == (b"HTTP/1.1 200", b"HTTP/1.1 403")
    assert traffic.refused == (Refused("127.0.0.1", 1, 1),)


def tunnelled(proxy: tuple[str, int], to: tuple[str, int]) -> bytes:
    """Ask for a tunnel and give the beginning of the answer; the service need not accept for it."""
    with socket.create_connection(proxy, timeout=20) as connection:
        connection.sendall(f"CONNECT {to[0]}:{to[1]} HTTP/1.1\r\n\r\n".encode())
        return connection.recv(12)
