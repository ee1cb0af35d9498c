"""Finding the package that breaks an upgrade: `backout split`, and a person who bisects with pip on copies."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from backout.drill.wheels import BASE, LATEST, lock_text, pinned
from backout.drill.world import write
from bench.contest import Contender, Contest, Place
from bench.packages import Shop

_CONFIG = """
[environments.production]
hosts = ["local"]
[[environments.production.checks]]
name = "starts"
run = "{run}"
within = "3s"
"""


class Culprit:
    """The drill's upgrade, refused because of its check; both ways find setuptools, and a rest that passes."""

    def __init__(self, place: Place) -> None:
        old, new = (pinned(lock_text(name)).splitlines() for name in (BASE, LATEST))
        self._place, self._pins = place, sorted(new)
        self._shop = Shop(place, "drill", old, new, "--no-deps")
        self._folder = place.fresh("culprit")
        write(self._folder, "app.py", self._folder)
        with open(os.path.join(self._folder, "backout.toml"), "w", encoding="utf-8") as file:
            file.write(_CONFIG.format(run=" ".join(self._check(self._shop.venv))))
        refused = self._backout(3, "run", "--yes", "--network", "none", "--", *self._shop.upgrade(self._shop.venv))
        self._change = refused["change"]
        self.trials: dict[str, list[int]] = {"split": [], "person": []}
        """How many trials each took, a round each."""

    def contest(self) -> Contest:
        """Compare both."""
        note = (
            f"The drill's upgrade of {len(self._pins)} packages breaks the shop; the same check tells, "
            "`gunicorn --check-config app:app`. Asked for are the guilty package, and a rest that passes. The person "
            "copies the virtualenv, installs half of the suspects from local wheels, checks, and goes on with the half "
            "that breaks it in the same way; then all but the culprit. They need no time to think or to type."
        )
        contenders = [Contender("backout split", self._split), Contender("bisecting with pip, by script", self._person)]
        return Contest("The culprit of an upgrade", note, contenders)

    def told(self) -> str:
        """Say how many trials both took; the first round of each warmed up."""
        split, person = (_range(self.trials[name][1:]) for name in ("split", "person"))
        return (
            f"Trials: {split} of split (all of it and none of it twice each, to see that the check can be trusted), "
            f"{person} of the person.\n"
        )

    def _split(self) -> None:
        document = self._backout(0, "split", self._change)
        parts = [[atom["subject"].rpartition(":")[2] for atom in part["atoms"]] for part in document["parts"]]
        if parts != [["setuptools"]] or document["rest"] is None:
            sys.exit(f"backout split found {parts}: {json.dumps(document)[:2000]}")
        self.trials["split"].append(document["trials"])

    def _person(self) -> None:
        tried = 2
        fault, suspects = self._fault(self._pins), self._pins
        while len(suspects) > 1:
            half = suspects[: len(suspects) // 2]
            suspects = half if self._fault(half) == fault else suspects[len(half) :]
            tried += 1
        rest = [pin for pin in self._pins if pin not in suspects]
        if not suspects[0].startswith("setuptools==") or self._fault(rest):
            sys.exit(f"Bisecting with pip found {suspects}")
        self.trials["person"].append(tried)

    def _fault(self, pins: Sequence[str]) -> str:
        """Install some packages into a copy of the virtualenv; gives the last line that the check says, if it fails."""
        venv = self._place.path("culprit-copy")
        self._place.must("cp", "-a", self._shop.venv, venv)
        self._place.must(*self._shop.pip(venv, self._shop.new, "--find-links", self._shop.old, *pins))
        done = subprocess.run(
            ["sh", "-c", " ".join(self._check(venv))],
            env=self._place.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        shutil.rmtree(venv)
        return done.stderr.strip().rpartition("\n")[2] if done.returncode else ""

    def _check(self, venv: str) -> list[str]:
        return ["cd", self._folder, "&&", f"{venv}/bin/python", "-B", "-m", "gunicorn", "--check-config", "app:app"]

    def _backout(self, code: int, *words: str) -> dict[str, Any]:
        """Run backout with --json, which has to exit as it should; gives its document."""
        command = os.path.join(os.path.dirname(sys.executable), "backout")
        done = subprocess.run(
            [command, "--json", *words],
            cwd=self._folder,
            env=self._place.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != code:
            sys.exit(f"backout {words[0]}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        document: dict[str, Any] = json.loads(done.stdout)
        return document


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"
