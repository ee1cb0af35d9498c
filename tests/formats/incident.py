"""Keeps what `export` and `calm` give of an incident that was told step by step."""

# ruff: noqa: T201 - run by hand: .venv/bin/python tests/formats/incident.py

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from backout.store.opening import journal_path  # noqa: E402 - after its path is known
from kit.incident import Told  # noqa: E402

CONFIG = """
[environments.production]
hosts = ["local"]
[audiences.client]
name = "Example Ltd"
to = ["mailto:ops@client.example"]
zone = "Europe/Berlin"
[[backups]]
name = "shop"
run = "pg_dump shop > /srv/backups/shop.sql"
restore_test = "/srv/backups/try-restore shop"
max_age = "24h"
"""
BEGIN = 1792888200.0


def main() -> None:
    """Keep one document of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        (Path(folder) / "backout.toml").write_text(CONFIG)
        told = Told(journal_path(os.environ), BEGIN)
        told.check(BEGIN + 5, "unhealthy")
        told.pinned(BEGIN + 60, "web2 is slow", "web1 is slow")
        told.line(BEGIN + 90, "hypothesis", "the disk is full", state="open")
        told.notice(BEGIN + 120, "n1", seen="the shop does not answer", next_at=BEGIN + 1920)
        told.change(BEGIN + 600, "20261025-004000-fgh", "pip", "install", "setuptools==65.5.0")
        told.command(BEGIN + 900, "df", "-h", host="web1", output="/dev/vda1 40G\n")
        told.line(BEGIN + 1000, "backup", "Backup shop is made", name="shop", host="web1", exit_code=0, duration_s=4.2)
        told.check(BEGIN + 1200, "healthy")
        for name, words in (
            ("incident-1", ["export"]),
            ("incidents-1", ["export", "--list"]),
            ("calm-1", ["calm", "--word", "seen"]),
        ):
            line = [sys.executable, "-m", "backout", "--json", *words]
            done = subprocess.run(line, cwd=folder, capture_output=True, check=False)
            assert done.returncode == 0, done
            (HERE / f"{name}.json").write_bytes(done.stdout)
            print(name)


if __name__ == "__main__":
    main()
