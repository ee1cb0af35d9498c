"""Writes the samples of what is told of a search and of an import. Run by record.sh, and by itself."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path

from backout.bootstrap import journal
from backout.cli import run
from backout.flow import incidents
from backout.model.digest import canonical
from backout.model.incident import COMMAND, HYPOTHESIS, NOTE, RESOLVED

HERE = Path(__file__).parent
DOWN = 1795453452.0  # 2026-11-23 17:04:12 UTC
POSTMORTEM = """---
title: Shop down after pip upgraded setuptools
date: 2026-06-11T09:12:00+02:00
environment: staging
severity: 3
tags: [python, pip]
---

The upgrade of flask took setuptools along. gunicorn did not start.

    ModuleNotFoundError: No module named 'pkg_resources'

## What helped

The old virtualenv was moved back; setuptools is pinned in requirements.txt.
"""
RUNBOOK = """# gunicorn does not start

`journalctl -u shop` has the traceback: what is it that cannot be imported?

## Fix

For a module that is missing: make venv, then systemctl restart shop.
"""
QUESTION = """Traceback (most recent call last):
  File "/srv/shop/venv/bin/gunicorn", line 8, in <module>
    sys.exit(run())
  File "/srv/shop/app.py", line 3, in <module>
    import pkg_resources
ModuleNotFoundError: No module named 'pkg_resources'
"""


def said(*words: str) -> str:
    """What a command line writes."""
    written = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(written):
        run(words)
        written.seek(0)
        return written.read()


def outage() -> None:
    """Record an incident: what was seen, thought, and done."""
    with contextlib.closing(journal()) as record:
        name = incidents.declare(
            record, "anna", lambda: "20261123-170412-kfd", "production", "502 on every page", at=DOWN
        )
        module = "gunicorn: ModuleNotFoundError: No module named 'pkg_resources'"
        for after_s, kind, text, more in (
            (60, NOTE, module, {}),
            (300, HYPOTHESIS, "the Puppet run upgraded setuptools", {"state": "confirmed"}),
            (540, COMMAND, "rebuild the virtualenv", {"command": ["make", "venv"], "exit_code": 0, "as": "rebuild"}),
        ):
            incidents.record(record, "anna", name, kind, text, more=more, at=DOWN + after_s)
        incidents.state(record, "anna", name, "production", RESOLVED, at=DOWN + 720)


def main() -> None:
    """Write the samples."""
    with tempfile.TemporaryDirectory(prefix="backout-sample-") as folder:
        os.environ["XDG_STATE_HOME"] = f"{folder}/state"
        os.chdir(folder)
        Path("postmortem.md").write_text(POSTMORTEM)
        Path("bad.md").write_text("---\ntitle: x\ndate: last week\n---\ntext\n")
        Path("runbooks").mkdir()
        Path("runbooks/gunicorn.md").write_text(RUNBOOK)
        os.utime("runbooks/gunicorn.md", (DOWN - 9e6, DOWN - 9e6))
        Path("backout.toml").write_text('[search]\nfolders = ["runbooks"]\n')
        outage()
        samples = {
            "imported-1.json": said("--json", "import", "postmortem.md", "bad.md"),
            "search-1.json": said("--json", "search", QUESTION),
            "entry-1.json": said("--json", "search", "--entry", "6"),
        }
        for name, text in samples.items():
            (HERE / name).write_text(text.replace(folder, "/srv/shop").replace('"root"', '"anna"'))
        with contextlib.closing(journal()) as record:
            event = next(record.events(type="postmortem"))
            body = {**event.body, "source": "/srv/shop/postmortem.md"}
            (HERE / "postmortem-1.event").write_bytes(canonical(event._replace(body=body)._asdict()) + b"\n")


if __name__ == "__main__":
    sys.exit(main())
