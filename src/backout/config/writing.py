"""Values as TOML: what is read back is what was meant."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping


def text(value: str) -> str:
    """Write a TOML basic string: JSON's, but DEL must be escaped, too (TOML 1.0, section String)."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def texts(values: Iterable[str]) -> str:
    """Write a list of texts on one line."""
    return f"[{', '.join(map(text, values))}]"


def key(name: str) -> str:
    """Write a key: bare where it may be (TOML 1.0, section Keys)."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else text(name)


def is_writable(value: str) -> bool:
    """Tell whether a TOML file can hold a text: not one with bytes that are not UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def table(name: str, values: Mapping[str, object]) -> str:
    """Write one more table of an array, a key a line; a table inside stands on its key's line."""
    return "".join([f"[[{name}]]\n", *(f"{key(at)} = {_value(value)}\n" for at, value in values.items())])


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key(at)} = {_value(inner)}' for at, inner in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return str(value) if isinstance(value, int | dt.date) else text(str(value))
