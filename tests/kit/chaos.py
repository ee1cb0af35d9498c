"""Rollouts that are cut at random moments and gone on with: no host is torn, doubled or forgotten.

The seed decides what is cut, where, and after how long; what that meets is up to the machine.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backout.host.ledger import Ledger
from backout.model.ledger import Change, fold
from kit.sshd import Host, World, until, world

HOSTS = ("web1", "web2", "web3")
_CONFIG = """
[environments.{name}]
hosts = {hosts}
network = "none"
canary = 1
wave = "100%"
checks = [{{ name = "counts", run = "test -s {site}/app/count" }}]
"""
_PATIENT = "Host web*\n  ServerAliveInterval 1\n  ServerAliveCountMax 2\n"
_LONGEST_S = 300
_ATTEMPTS = 8
_AS_BEFORE = ("failed", "refused", "untouched", "backed out")
_IS_NEW = ("kept", "standing")
"""What a rollout may say of a host, and what then lies there; `unknown` claims nothing."""


@dataclass
class Tally:
    """What many rollouts came to; `met` counts how cuts left hosts, `faults` tells what must not be, a line each."""

    seed: int
    runs: int = 0
    attempts: int = 0
    cuts: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Storm:
    """Three hosts with a tree each, and the rollouts that change it from one whole state to the next."""

    def __init__(self, made: World, tally: Tally) -> None:
        self.made, self.tally = made, tally
        self.random = random.Random(tally.seed)
        self.app = made.site / "app"
        self.number = 0
        made.add_all(HOSTS)
        made.configure(_PATIENT)
        groups = {"all": list(HOSTS), **{name: [name] for name in HOSTS}}
        made.environments("".join(_CONFIG.format(name=n, hosts=h, site=made.site) for n, h in groups.items()))
        for host in made.hosts.values():
            (host.site / "app").mkdir()
            for name, content in expected(0).items():
                (host.site / "app" / name).write_text(content)

    def tree(self, host: str) -> dict[str, str]:
        """Read what lies on a host."""
        return {path.name: path.read_text() for path in (self.made.hosts[host].site / "app").iterdir()}

    def command(self) -> str:
        """Give the command that leads from the state before to this number's."""
        n = self.number
        return (
            f"cd {self.app} && echo {n} >> count && for name in a b c d e f; do echo {n} > $name; done "
            f"&& echo {n} > only-{n} && rm only-{n - 1}"
        )

    def rollout(self) -> None:
        """Roll one change out, with cuts, until it stands on every host; say what went wrong of what must not."""
        self.number += 1
        self.tally.runs += 1
        known = {host: {change.id for change in self.ledger(host)} for host in HOSTS}
        rollout = None
        for attempt in range(_ATTEMPTS):
            self.tally.attempts += 1
            words = ["--resume", rollout] if rollout else ["--yes", "--", self.command()]
            before = {host: self.tree(host) for host in HOSTS}
            document = self.cut_at_random("run", "-e", "all", *words, cuts=max(0, 2 - attempt))
            self.settle(document, before)
            begun = [change.id for host in HOSTS for change in self.ledger(host) if change.id not in known[host]]
            rollout = min(begun, key=len, default=None)
            if all(self.tree(host) == expected(self.number) for host in HOSTS):
                break
        else:
            self.fault(f"it does not stand everywhere after {_ATTEMPTS} attempts: {document}")
        for host in HOSTS:
            standing = [change.id for change in self.ledger(host) if change.id not in known[host] and change.stands]
            if len(standing) != 1:
                self.fault(f"on {host} the ledger has it standing as {standing}")

    def ledger(self, host: str) -> list[Change]:
        """Give the changes on a host's record, read on the host."""
        return fold(Ledger(os.fsencode(self.made.hosts[host].state)).entries())

    def fault(self, what: str) -> None:
        """Note what must not be."""
        self.tally.faults.append(f"run {self.number} of seed {self.tally.seed}: {what}")

    def settle(self, document: dict[str, Any] | None, before: dict[str, dict[str, str]]) -> None:
        """After a cut: let every host recover, and hold what lies there against its ledger and what was said of it."""
        said = {row["host"]: row for row in ((document or {}).get("rollout") or {"hosts": []})["hosts"]}
        if document is not None and said and set(said) != set(HOSTS):
            self.fault(f"forgotten: only {sorted(said)} were named")
        until(lambda: not any(host.halves() for host in self.made.hosts.values()), "every host half to end")
        with ThreadPoolExecutor() as threads:
            recovered = list(threads.map(lambda name: self.made.backout("recover", "-e", name), HOSTS))
        for name, done in zip(HOSTS, recovered, strict=True):
            if done.returncode:
                self.fault(f"{name} is not recovered: {done.stderr}")
            self.judge(name, said.get(name), before[name])

    def judge(self, name: str, said: dict[str, Any] | None, before: dict[str, str]) -> None:
        """Tell whether a host has one whole tree, the one that its ledger and its mention say."""
        tree, stands = self.tree(name), self.stands(name)
        if tree not in (expected(self.number), expected(self.number - 1)):
            self.fault(f"torn or doubled on {name}: {tree}")
            return
        is_new = tree == expected(self.number)
        self.tally.met["new" if is_new else "old"] += 1
        if is_new != stands:
            self.fault(f"{name} is {'new' if is_new else 'old'}, and its ledger says otherwise")
        state = said["state"] if said else None
        if (state in _IS_NEW and not is_new) or (state in _AS_BEFORE and tree != before):
            self.fault(f"{name} is {'new' if is_new else 'old'}, and was said: {said}")

    def stands(self, name: str) -> bool:
        """Tell whether this number's change stands on a host, by its ledger."""
        return any(change.stands and self.command() in change.body["command"] for change in self.ledger(name))

    def cut_at_random(self, *words: str, cuts: int) -> dict[str, Any] | None:
        """Run a command line while things are cut; give its document, or None when it gave none."""
        with subprocess.Popen(
            self.made.backout.argv("--json", *words),
            cwd=self.made.backout.folder,
            env=self.made.backout.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            blades = [self.blade(process) for _ in range(cuts and self.random.randint(1, cuts))]
            for blade in blades:
                blade.start()
            try:
                said, wrong = process.communicate(timeout=_LONGEST_S)
            except subprocess.TimeoutExpired:
                self.fault(f"it hangs: {words}")
                process.kill()
                said, wrong = process.communicate()
            for blade in blades:
                blade.join()
        for name in HOSTS:
            self.made.mend(name)
        if b"Traceback" in wrong:
            self.fault(wrong.decode())
        with suppress(ValueError):
            document: dict[str, Any] = json.loads(said)
            return document
        return None

    def blade(self, process: subprocess.Popen[bytes]) -> threading.Thread:
        """Draw a cut: what, where, and when, which is after a while, or soon after the ledger has something new."""
        host = self.made.hosts[self.random.choice(HOSTS)]
        name, act = self.random.choice(list(self.cuts(process, host).items()))
        in_apply, delay_s = self.random.random() < 0.5, self.random.random()
        wait_s = delay_s * 0.1 if in_apply else delay_s * 3
        before = _size(host)

        def cut() -> None:
            while in_apply and _size(host) == before and process.poll() is None:
                time.sleep(0.001)
            time.sleep(wait_s)
            if process.poll() is None:
                self.tally.cuts[name] += 1
                act()

        return threading.Thread(target=cut)

    def cuts(self, process: subprocess.Popen[bytes], host: Host) -> dict[str, Callable[[], object]]:
        """Name all that may be cut."""
        out_s = self.random.choice((0.3, 1, 4))

        def cable() -> None:
            self.made.cut(host.name)
            time.sleep(out_s)
            self.made.mend(host.name)

        return {
            "the cable is out for a while": cable,
            "the sessions of sshd are killed": host.end_sessions,
            "the controller is killed": process.kill,
            "an ssh client is killed": lambda: _kill(self.made.clients()[:1]),
            "a host half is killed": lambda: _kill(host.halves()),
        }


def expected(number: int) -> dict[str, str]:
    """Give the whole tree after so many changes; `count` has a line for each time that one was made."""
    count = "".join(f"{n}\n" for n in range(number + 1))
    return {"count": count, f"only-{number}": f"{number}\n", **dict.fromkeys("abcdef", f"{number}\n")}


def _size(host: Host) -> int:
    with suppress(FileNotFoundError):
        return sum(path.stat().st_size for path in Path(host.state).glob("ledger*"))
    return 0


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def storm(seed: int) -> Iterator[Storm]:
    """Give hosts to roll out on, and end them."""
    with world() as made:
        yield Storm(made, Tally(seed))
