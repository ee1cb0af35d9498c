"""The JSON Schemas (draft 2020-12) of the documents that `--json` gives, as they are published."""

from __future__ import annotations

import json
import os
from typing import Any

from backout.errors import UsageError

_FOLDER = os.path.dirname(__file__)


def names() -> list[str]:
    """List the documents that have a schema, such as backout.effects/1."""
    files = sorted(file for file in os.listdir(_FOLDER) if file.endswith(".json"))
    return ["/".join(file.removesuffix(".json").rsplit("-", 1)) for file in files]


def schema(name: str) -> dict[str, Any]:
    """Load the schema of a document, named as in its `schema` field; raise UsageError for a name that has none."""
    if name not in names():
        raise UsageError(f"{name!r} is no document of backout's: it must be one of {', '.join(names())}.")
    with open(os.path.join(_FOLDER, name.replace("/", "-") + ".json"), encoding="utf-8") as file:
        loaded: dict[str, Any] = json.load(file)
    return loaded
