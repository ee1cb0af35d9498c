"""Plays a small story on four hosts, and keeps samples of what several give; `record.sh` begins it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from kit.sshd import world  # noqa: E402 - it is found by then

SHOP = "/srv/shop"
CONF = f"{SHOP}/gunicorn.conf.py"
CONFIG = f"""
[environments.production]
hosts = ["web1", "web2", "web3", "web4"]
wave = 1
[environments.first]
hosts = ["web1"]
[environments.mistyped]
hosts = ["web1", "web2.invalid"]

[[environments.production.checks]]
name = "answers"
run = "! [ -e {SHOP}/broken ]"
within = "1s"
"""
AFTER = f'[ "$(hostname)" != web3 ] || if grep -q "= 4" {CONF}; then touch {SHOP}/broken; else rm -f {SHOP}/broken; fi'


def main() -> None:
    """Record it: one host differs, and one does not like the change."""
    with world() as made:
        Path(SHOP).mkdir()
        try:
            for name in ("web1", "web2", "web3", "web4"):
                more = "threads = 8\n" if name == "web4" else ""
                host = made.add(name)
                (host.own(SHOP) / "gunicorn.conf.py").write_text(f"workers = 2\n{more}")
            made.environments(CONFIG)
            change = f"sed -i 's/workers = 2/workers = 4/' {CONF}"
            document, _ = made.backout.json("run", "-e", "production", "--yes", "--after", AFTER, "--", change)
            _keep("rehearsals-1.json", document)
            made.backout("run", "-e", "first", "--yes", "--", f"echo timeout = 30 >> {CONF}")
            _keep("hosts-1.json", made.backout.json("back", "-e", "mistyped", "--why", "a typing error")[0])
        finally:
            Path(SHOP).rmdir()


def _keep(name: str, document: dict[str, Any]) -> None:
    (Path(__file__).parent / name).write_text(json.dumps(document) + "\n")


main()
