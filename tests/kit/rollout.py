"""Three hosts with an application each, over which changes go in waves; all of it real."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kit.cli import validate
from kit.sshd import World, until

HOSTS = ("web1", "web2", "web3")
LINE = "more = yes\n"
OLD = "workers = 2\n"
WAIT = "touch {app}/begun; until [ -e {app}/go ]; do sleep 0.02; done"
"""What a hook does that waits for a word of the test."""
BREAK = "if grep -q more {app}/conf; then touch {app}/broken; else rm -f {app}/broken; fi"
"""What a hook does that lets the application not like the change."""


class Shops:
    """The hosts, each with a folder of its own at the same path: its `hook` is run after each apply and back-out."""

    def __init__(self, made: World) -> None:
        self.world = made
        self.app = made.folder / "app"
        self.app.mkdir()
        for name in HOSTS:
            made.add(name).own(self.app)
        made.configure("Host web*\n  ServerAliveInterval 1\n  ServerAliveCountMax 2\n")

    def begin(self, pace: str = "wave = 1", hosts: Sequence[str] = HOSTS) -> None:
        """Bring every application back to where it was, and set the pace of the next rollout."""
        self.set(pace, hosts)
        for name in HOSTS:
            self.world.mend(name)
            for file in ("hook", "broken", "begun", "go", "big"):
                self.inside(name, file).unlink(missing_ok=True)
            self.inside(name, "conf").write_text(OLD)

    def set(self, pace: str = "wave = 1", hosts: Sequence[str] = HOSTS) -> None:
        """Set the pace of the next rollout alone."""
        check = f'name = "answers"\nrun = "! [ -e {self.app}/broken ]"\nwithin = "1s"\n'
        listed = json.dumps(list(hosts))
        self.world.environments(
            f"[environments.prod]\nhosts = {listed}\n{pace}\n[[environments.prod.checks]]\n{check}"
            + "".join(f'[environments.{name}]\nhosts = ["{name}"]\n' for name in HOSTS)
        )

    def inside(self, host: str, name: str) -> Path:
        """Give the way to a file of a host's application."""
        return self.world.hosts[host].inside(self.app / name)

    def hook(self, host: str, script: str) -> None:
        """Let a host do something after each apply and back-out."""
        self.inside(host, "hook").write_text(script.format(app=self.app) + "\n")

    @property
    def lines(self) -> list[int]:
        """Count on each host how often the change was applied."""
        return [self.inside(name, "conf").read_text().count(LINE) for name in HOSTS]

    def words(self, *options: str) -> list[str]:
        """Give the command line that appends a line on every host: done twice, it would show."""
        after = ("--after", f"[ ! -e {self.app}/hook ] || . {self.app}/hook")
        return ["run", "-e", "prod", "--network", "none", *after, *options, "--", f"echo more = yes >> {self.app}/conf"]

    def record(self, host: str) -> dict[str, str]:
        """Give the state of every change on a host's ledger, by its id."""
        lines = (self.world.hosts[host].state / "ledger").read_text().splitlines()
        return {entry["change"]: entry["kind"] for entry in map(json.loads, lines)}

    def run(self, *options: str) -> tuple[dict[str, Any], int]:
        """Run it; gives document and exit code."""
        return self.world.backout.json(*self.words("--yes", *options))

    def resume(self, rollout: str, *options: str, **environ: str) -> tuple[dict[str, Any], int]:
        """Go on with a rollout."""
        return self.world.backout.json("run", "-e", "prod", "--resume", rollout, *options, environ=environ)

    def meanwhile(self, act: Callable[[subprocess.Popen[str]], object], *options: str) -> tuple[dict[str, Any], int]:
        """Run it, and do something while the canary waits (or whatever `act` waits for); then let it go on."""
        backout = self.world.backout
        argv = backout.argv("--json", *self.words("--yes", *options))
        with subprocess.Popen(
            argv, cwd=backout.folder, env=backout.environ, stdout=-1, stderr=-1, text=True
        ) as process:
            try:
                act(process)
                self.go()
                out, err = process.communicate(timeout=300)
            except BaseException:
                process.kill()
                raise
        assert out, err
        document: dict[str, Any] = json.loads(out)
        validate(document)
        return document, process.returncode

    def go(self) -> None:
        """Let every hook that waits go on."""
        for name in HOSTS:
            self.inside(name, "go").touch()

    def begun(self, host: str) -> None:
        """Wait until a host's hook waits."""
        until(self.inside(host, "begun").exists, "the command after the apply")


def states(document: dict[str, Any]) -> dict[str, str]:
    """Give what became of each host."""
    return {row["host"]: row["state"] for row in document["rollout"]["hosts"]}
