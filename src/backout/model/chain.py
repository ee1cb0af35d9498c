"""Hash chains: every entry carries the hash of the one before (law 6)."""

from __future__ import annotations

import hashlib
from typing import Any

from backout.model.digest import canonical

GENESIS = "0" * 64
"""What the first entry of a chain carries as the hash of the one before."""


def link_hash(entry: dict[str, Any]) -> str:
    """Hash one entry, its own `prev` included."""
    return hashlib.sha256(canonical(entry)).hexdigest()
