"""The one document that most tests here draw: a change that meant to edit one file and moves 45 packages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FIXTURE = Path(__file__).parents[2] / "fixtures" / "forty-five-packages.json"


@pytest.fixture
def surprise() -> dict[str, Any]:
    """Give a fresh copy of the committed document."""
    document: dict[str, Any] = json.loads(FIXTURE.read_text())
    return document
