"""Writes the sample of what is told of a review that is half written. Run by record.sh, and by itself."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from pathlib import Path

from backout.bootstrap import journal
from backout.cli import run
from backout.flow import incidents
from backout.model.incident import HYPOTHESIS, NOTE, RESOLVED

HERE = Path(__file__).parent
DOWN = 1795453452.0  # 2026-11-23 17:04:12 UTC
PATHS = "### P1 led: one setting re-resolved every package\nentries: #2, #3\n"
ACTIONS = """### A1 Refuse a change that moves setuptools across a major version
- owner: Anna
- due: 2026-12-08
- kind: prevent
- closes: P1
- proof: guard setuptools-stays
### A2 Look more carefully at what pip installs
- owner: Ben
- due: soon
"""


def main() -> None:
    """Write the sample."""
    with tempfile.TemporaryDirectory(prefix="backout-sample-") as folder:
        os.environ["XDG_STATE_HOME"] = f"{folder}/state"
        os.environ["TZ"] = "UTC"
        os.environ["LOGNAME"] = "anna"
        os.chdir(folder)
        with contextlib.closing(journal()) as record:
            name = incidents.declare(
                record, "anna", lambda: "20261123-170412-kfd", "production", "502 on every page", at=DOWN
            )
            module = "gunicorn: ModuleNotFoundError: No module named 'pkg_resources'"
            incidents.record(record, "anna", name, NOTE, module, at=DOWN + 60)
            incidents.record(record, "anna", name, HYPOTHESIS, "setuptools moved", more={"state": "open"}, at=DOWN + 90)
            incidents.state(record, "anna", name, "production", RESOLVED, at=DOWN + 720)
        text = said("review", "--print")
        text = text.replace("## Paths\n", f"## Paths\n{PATHS}").replace("## Actions\n", f"## Actions\n{ACTIONS}")
        Path("review.md").write_text(text)
        document = said("--json", "review", "--from", "review.md")
        (HERE / "review-1.json").write_text(json.dumps(json.loads(document), indent=1, ensure_ascii=False) + "\n")


def said(*words: str) -> str:
    """What a command line writes."""
    written = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(written):
        run(words)
        written.seek(0)
        return written.read()


if __name__ == "__main__":
    main()
