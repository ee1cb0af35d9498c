"""The command line as a person has it: a process of its own, with a state of its own."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema

from backout.render.schemas import schema

CHECKED = """
[environments.production]
hosts = ["local"]
[[environments.production.checks]]
name = "check"
run = "{run}"
within = "1s"
"""
"""A configuration with one check, to be given its command."""
SOURCE = Path(__file__).parents[2] / "src"


class Backout:
    """Runs `backout` in a working folder; every document it gives is held against its published schema."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self.state = folder / "state"
        self.enter: list[str] = []
        """What to begin every command line with, to run it in another namespace."""
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("BACKOUT", "XDG_", "SUDO"))},
            "BACKOUT_STATE": str(self.state),
            "XDG_STATE_HOME": str(folder / "xdg"),
            "PYTHONPATH": str(SOURCE),
        }

    def argv(self, *words: str) -> list[str]:
        """Give the command line that starts `backout`."""
        return [*self.enter, sys.executable, "-m", "backout", *words]

    def __call__(self, *words: str, stdin: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run it and wait; nobody is at the terminal."""
        return subprocess.run(
            self.argv(*words),
            cwd=self.folder,
            env={**self.environ, **environ},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    @contextmanager
    def beside(self, *words: str, **how: Any) -> Iterator[subprocess.Popen[str]]:
        """Run it beside the test; in the end it is killed and its pipes are closed, also when the test failed."""
        nobody = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(
            self.argv(*words), cwd=self.folder, env=self.environ, text=True, **{**nobody, **how}
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def meanwhile(self, act: Callable[[], object], command: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a shell command through it, do something on the host when that is done, and only then let it end."""
        argv = self.argv(*words, "--interactive", "--", f"({command}); code=$?; echo inside; read answer; exit $code")
        pipe = subprocess.PIPE
        with subprocess.Popen(
            argv, cwd=self.folder, env=self.environ, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            said = list(itertools.takewhile(lambda line: line != "inside\n", process.stdout))
            act()
            rest, _ = process.communicate("\n", timeout=300)
        return subprocess.CompletedProcess(argv, process.returncode, "".join(said) + rest, "")

    def json(self, *words: str, environ: Mapping[str, str] | None = None) -> tuple[dict[str, Any], int]:
        """Run it with --json; gives the one document on stdout, validated, and the exit code."""
        done = self("--json", *words, **(environ or {}))
        document: dict[str, Any] = json.loads(done.stdout)
        validate(document)
        return document, done.returncode


def validate(document: dict[str, Any]) -> None:
    """Hold a document against the schema that it names."""
    jsonschema.Draft202012Validator(schema(document["schema"])).validate(document)
