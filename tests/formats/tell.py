"""Tells a client of an incident over a real mail server that refuses one of two, and keeps what is told of that."""

# ruff: noqa: T201 - run by hand: .venv/bin/python tests/formats/tell.py

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from backout import bootstrap  # noqa: E402 - after its path is known
from backout.flow.incidents import declare  # noqa: E402
from kit.mailserver import post  # noqa: E402

CONFIG = """
[environments.production]
hosts = ["local"]
[audiences.client]
name = "Example Ltd"
to = ["mailto:ops@client.example", "mailto:boss@client.example"]
zone = "Europe/Berlin"
[mail]
server = "{server}"
from = "Shop <ops@shop.example>"
"""


def main() -> None:
    """Keep a preview, and what became of it."""
    with tempfile.TemporaryDirectory() as folder, post() as server:
        server.refuses = {"boss@client.example"}
        os.environ["XDG_STATE_HOME"] = folder
        (Path(folder) / "backout.toml").write_text(CONFIG.format(server=server.address))
        text = "The shop answers with an error page, probably because of the sale"
        declare(bootstrap.journal(), "ada", bootstrap.new_change_id, "production", text)
        for name, words, code in (("tell-preview-1", ["--dry-run"], 0), ("tell-1", ["--yes"], 1)):
            line = [sys.executable, "-m", "backout", "--json", "tell", *words]
            done = subprocess.run(line, cwd=folder, capture_output=True, check=False)
            assert done.returncode == code, done
            (HERE / f"{name}.json").write_bytes(done.stdout)
            print(name)


if __name__ == "__main__":
    main()
