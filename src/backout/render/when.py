"""Times as people read them."""

from __future__ import annotations

from datetime import datetime, tzinfo


def when_text(at: str, zone: tzinfo | None = None) -> str:
    """Give an RFC 3339 time in a zone (this machine's, unless told), with the zone's name."""
    return datetime.fromisoformat(at).astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
