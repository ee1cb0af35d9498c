"""The one line of a check's output that tells most."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_STATUS = re.compile(r"[1-5][0-9]{2}(?: .*)?")
"""The first line of an HTTP check's output: `503 Service Unavailable`; a command's exit code has words before it."""


def telling_line(output: str) -> str:
    """Give the status of an HTTP request, or the last line of a command's output that says something; else nothing."""
    lines = [line for line in output.strip().split("\n") if line.strip()]
    return "" if not lines else lines[0] if _STATUS.fullmatch(lines[0].strip()) else lines[-1]


def last_trouble(there: Mapping[str, Mapping[str, Any]]) -> str:
    """Give the output of the newest result of a check that was made, by where; nothing when that was healthy."""
    made = [there[where] for where in ("before", "rehearsal", "after") if where in there]
    made = [result for result in made if result["result"] != "not_run"]
    return str(made[-1]["output"]) if made and made[-1]["result"] == "unhealthy" else ""
