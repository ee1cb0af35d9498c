"""The incidents on record, a line each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from rich.text import Text

from backout.render.canvas import aligned, text_of
from backout.render.screen import Screen
from backout.render.when import when_text


def incidents(document: Mapping[str, Any], screen: Screen, zone: tzinfo | None = None) -> str:
    """Draw a `backout.incidents/1` document, newest first."""
    rows = [
        tuple(
            Text(screen.visible(cell))
            for cell in (
                row["id"],
                when_text(row["declared_at"], zone),
                row["environment"],
                row["state"],
                str(row["severity"]),
                row["text"],
            )
        )
        for row in document["incidents"]
    ]
    return text_of(aligned(rows, 0), screen) if rows else "There is no incident on record.\n"
