"""Several hosts at once, each a process that speaks the wire, well or badly."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from backout.errors import BackoutError, FailedError, NotPossibleError
from backout.flow.fleet import AT_ONCE, Fleet, exit_code, is_off
from backout.flow.session import Session, Who
from backout.link.wire import Link

HALF = """
trap '[ -z "$!" ] || kill $!; echo "{\\"error\\": $INTERRUPTED}"' INT
echo '{"sentinel": "backout.wire/1"}'
while read line; do case $line in
    *hello*) echo "{\\"reply\\": $HELLO}";;
    *rehearse*) sleep 600 >/dev/null & echo '{"event": "progress", "text": "begun"}'; wait;;
    *changes*) exec sleep 600;;
    *) echo '{"reply": null}';;
esac; done
"""
INTERRUPTED = {
    "schema": "backout.error/1",
    "exit_code": 130,
    "what": "Interrupted.",
    "state": "This host is as it was before.",
    "next": "",
}


class Hosts:
    """Gives sessions with processes; `end` is how many have been closed, `threads` which thread used which."""

    def __init__(self) -> None:
        self.processes: dict[str, Any] = {}  # with pipes, which is what makes a Popen a Process
        self.identity: dict[str, str] = {}
        self.ahead_s: dict[str, float] = {}
        self.closed: list[str] = []
        self.begun = threading.Semaphore(0)
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    @contextmanager
    def open(self, host: str) -> Iterator[Session]:
        """Start a host half; of those whose name says so, none comes up."""
        if host.startswith("no"):
            raise FailedError(f"{host}: there is no host of that name.")
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        hello = {
            "host": host,
            "identity": self.identity.get(host, host),
            "time_s": time.time() + self.ahead_s.get(host, 0),
        }
        environ = {**os.environ, "HELLO": json.dumps(hello), "INTERRUPTED": json.dumps(INTERRUPTED)}
        self.processes[host] = subprocess.Popen(
            ["sh", "-c", HALF], stdin=-1, stdout=-1, env=environ, start_new_session=True
        )
        with ExitStack() as stack:
            link = stack.enter_context(Link(self.processes[host], lambda *_: self.begun.release()))
            stack.callback(self.closed.append, host)
            with self._lock:
                self.at_once -= 1
            yield Session(link, None, None, Who("anna"), None, lambda: "x", host)  # type: ignore[arg-type]


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """The hosts of a test, which end with it."""
    made = Hosts()
    yield made
    for process in made.processes.values():
        with process:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def reached(hosts: Hosts, *names: str) -> Iterator[Fleet]:
    """A fleet that was reached, and is closed in the end."""
    fleet = Fleet(names, hosts.open)
    try:
        fleet.reach()
        yield fleet
    finally:
        fleet.close()


@contextmanager
def ctrl_c(hosts: Hosts, after: int) -> Iterator[None]:
    """Press Ctrl-C when so many hosts have said that they began."""

    def press() -> None:
        for _ in range(after):
            hosts.begun.acquire()
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    yield
    thread.join()


def test_all_that_are_reached_are_asked_and_the_others_are_named(hosts: Hosts) -> None:
    """One that is down, or mistyped, is no reason to know nothing of the rest."""
    with reached(hosts, "web1", "nowhere", "web2") as fleet:
        results = fleet.each(lambda session: session.link.ask("enforcers") or session.host)
        assert (fleet.reached, results) == (("web1", "web2"), {"web1": "web1", "web2": "web2"})
        assert fleet.failed["nowhere"].what == "nowhere: there is no host of that name."
    assert sorted(hosts.closed) == ["web1", "web2"]


def test_fifty_hosts_of_which_some_are_not_there_are_reached_a_few_at_a_time(hosts: Hosts) -> None:
    """Each costs an ssh: fifty key exchanges at once would take the controller's breath away."""
    names = [f"nowhere{n}" if n % 5 == 0 else f"web{n}" for n in range(50)]
    with reached(hosts, *names) as fleet:
        assert fleet.reached == tuple(name for name in names if name.startswith("web"))
        assert len(fleet.each(lambda session: session.host)) == 40
    assert (len(hosts.closed), hosts.most_at_once <= AT_ONCE) == (40, True)


def test_what_goes_wrong_on_one_host_is_its_result(hosts: Hosts) -> None:
    """The others go on, and each is answered for."""

    def act(session: Session) -> str:
        if session.host == "web2":
            raise NotPossibleError("There is no space.")
        return session.host

    with reached(hosts, "web1", "web2", "web3") as fleet:
        results = fleet.each(act)
    assert [str(result) for result in results.values()] == ["web1", "There is no space.", "web3"]


def test_a_bug_in_a_thread_is_raised(hosts: Hosts) -> None:
    """It is no host's fault, and must not look like one."""
    with reached(hosts, "web1", "web2") as fleet, pytest.raises(ZeroDivisionError):
        fleet.each(lambda session: 1 // (session.host == "web1"))
    assert len(hosts.closed) == 2


def test_each_host_is_used_by_one_thread_from_its_start_to_its_end(hosts: Hosts) -> None:
    """A connection to the journal may be used by the thread that made it, and by no other."""
    threads: dict[str, set[int]] = {"web1": set(), "web2": set()}

    class Seen(Hosts):
        @contextmanager
        def open(self, host: str) -> Iterator[Session]:
            threads[host].add(threading.get_ident())
            with hosts.open(host) as session:
                yield session
            threads[host].add(threading.get_ident())

    with reached(Seen(), "web1", "web2") as fleet:
        for _ in range(3):
            fleet.each(lambda session: threads[session.host].add(threading.get_ident()))
    assert [len(found) for found in threads.values()] == [1, 1]
    assert not threads["web1"] & threads["web2"]


def test_two_names_of_one_machine_are_one_host(hosts: Hosts) -> None:
    """It would be changed twice; which name is left out does not hang on which answered first."""
    hosts.identity = {"web1": "A", "www": "A"}
    with reached(hosts, "web1", "web2", "www") as fleet:
        assert fleet.reached == ("web1", "web2")
        assert (fleet.failed, fleet.twins) == ({}, {"www": "web1"})
        assert fleet.warnings[0].startswith("www is the same machine as web1")
    assert sorted(hosts.closed) == ["web1", "web2", "www"]


def test_a_clock_that_is_off_is_told_with_how_much(hosts: Hosts) -> None:
    """Times of its record, and of its certificates, would mean something else than they say."""
    hosts.ahead_s = {"web2": 3600, "web3": -90}
    with reached(hosts, "web1", "web2", "web3") as fleet:
        ahead, behind = fleet.warnings
    assert ahead.startswith("web2: its clock is 3600 s ahead of this machine's")
    assert behind.startswith("web3: its clock is 90 s behind this machine's")
    assert (is_off(1.9), is_off(-2.1)) == (False, True)


def test_a_host_that_hangs_is_let_go_at_its_limit(hosts: Hosts) -> None:
    """The others' results are there, and the command ends."""
    with reached(hosts, "web1", "web2") as fleet:
        results = fleet.each(
            lambda session: session.link.ask("changes" if session.host == "web1" else "enforcers"), limit_s=1.0
        )
        assert isinstance(results["web1"], FailedError)
        assert "No answer in 1 s" in results["web1"].what
        assert results["web2"] is None
    assert len(hosts.closed) == 2


def test_ctrl_c_reaches_all_hosts_and_is_raised_when_each_has_answered(hosts: Hosts) -> None:
    """None goes on for nobody; and one whose turn has not come yet does not begin."""
    ended: list[BackoutError] = []

    def act(session: Session) -> None:
        try:
            session.link.ask("rehearse")
        except BackoutError as error:
            ended.append(error)
            raise

    with reached(hosts, *(f"web{n}" for n in range(AT_ONCE + 2))) as fleet:
        with pytest.raises(KeyboardInterrupt), ctrl_c(hosts, after=AT_ONCE):
            fleet.each(act)
        assert [error.what for error in ended] == ["Interrupted."] * AT_ONCE
    assert len(hosts.closed) == AT_ONCE + 2


def test_ctrl_c_between_two_requests_lets_the_next_one_not_begin(hosts: Hosts) -> None:
    """Nobody is there to hear an interrupt at that moment, and what follows may take an hour."""
    stopped = threading.Event()

    def act(session: Session) -> None:
        hosts.begun.release()
        stopped.wait(60)
        session.link.ask("rehearse")

    def watch(fleet: Fleet) -> None:
        while not fleet.stopped:
            time.sleep(0.01)
        time.sleep(0.1)
        stopped.set()

    with reached(hosts, "web1") as fleet:
        watcher = threading.Thread(target=watch, args=(fleet,))
        watcher.start()
        with pytest.raises(KeyboardInterrupt), ctrl_c(hosts, after=1):
            fleet.each(act)
        watcher.join()


def test_ctrl_c_where_nothing_may_be_left_half_way_is_only_noted(hosts: Hosts) -> None:
    """What is under way is finished; whoever asked stops before the next step."""
    steps = itertools.count()

    def act(_: Session) -> int:
        hosts.begun.release()
        while not fleet.stopped:
            time.sleep(0.01)
        return next(steps)

    with reached(hosts, "web1", "web2") as fleet:
        with ctrl_c(hosts, after=2):
            results = fleet.each(act, interruptible=False)
        assert (sorted(map(str, results.values())), fleet.stopped) == (["0", "1"], True)


def test_ctrl_c_while_hosts_are_being_reached_ends_what_is_on_the_way(hosts: Hosts) -> None:
    """A host that does not answer would otherwise be waited for, a minute long."""

    @contextmanager
    def never(host: str) -> Iterator[Session]:
        ended = threading.Event()
        fleet.on_the_way(host, ended.set)
        hosts.begun.release()
        assert ended.wait(60)
        with hosts.open("nowhere") as session:
            yield session

    fleet = Fleet([f"web{n}" for n in range(AT_ONCE + 5)], never)
    with pytest.raises(KeyboardInterrupt), ctrl_c(hosts, after=AT_ONCE):
        fleet.reach()
    fleet.close()
    assert fleet.reached == ()


@pytest.mark.parametrize(
    ("codes", "code"),
    [((), 0), ((0, 0), 0), ((0, 3), 3), ((1, 3), 1), ((0, 7, 1), 7), ((6, 7), 6), ((4, 6), 4), ((5, 4, 0), 5)],
)
def test_the_exit_code_of_several_hosts_is_the_one_that_asks_for_most(codes: tuple[int, ...], code: int) -> None:
    """A script looks at one number: what a person has to see must not hide behind a host that is well."""
    assert exit_code(codes) == code


def test_a_code_that_is_no_hosts_own_is_not_lost() -> None:
    """Wrong usage is the same on every host that says so, and no success."""
    assert (exit_code([2, 0]), exit_code([130, 0]), exit_code([2, 1])) == (2, 130, 1)
