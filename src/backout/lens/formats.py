"""Configuration formats that the standard library can read, each as a flat map of its leaves.

What is read here is never written here: hunks of lines are (see `hunks`). Whatever a reader is not sure of (a key
twice, an include, a byte-order mark, carriage returns, no section) it refuses, and the file stays a `file` effect.
"""

from __future__ import annotations

import configparser
import importlib
import json
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, Callable

from backout.lens.hunks import Flat, Key, Reader
from backout.model.shape import DEEPEST, is_deeper

LARGEST_BYTES = 1 << 20
_DEEPEST = DEEPEST // 2

_ENV_NAME = re.compile(r"/\.env(?:\.[^/]*)?$|\.env$|^/etc/default/[^/]+$|^/etc/environment$|^/etc/sysconfig/[^/]+$")
_INI_NAME = re.compile(r"\.(?:ini|cfg|conf|cnf)$")
_ENV_LINE = re.compile(
    r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]*)=(\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s\"'#][^\"']*|)[ \t]*(#.*)?"
)
_INCLUDE = re.compile(r"^\s*(?:[!%.]include|include\s*[^\s=:]|\[include)", re.IGNORECASE | re.MULTILINE)


def reader_for(path: bytes) -> Reader | None:
    """Choose the reader for a file by its name; None when no configuration format is known for it."""
    name = os.fsdecode(path)
    if _ENV_NAME.search(name):
        return _reader(_env)
    if name.endswith(".json"):
        return _reader(_json)
    if name.endswith(".toml") and sys.version_info >= (3, 11):
        return _reader(_toml)
    return _reader(_ini) if _INI_NAME.search(name) else None


def _reader(parse: Callable[[str], dict[str, Any]]) -> Reader:
    def read(content: bytes) -> Flat | None:
        if len(content) > LARGEST_BYTES or b"\r" in content or b"\0" in content or content.startswith(b"\xef\xbb\xbf"):
            return None
        try:
            value = parse(content.decode())
            return None if is_deeper(value, _DEEPEST) else dict(_leaves((), value))
        except (ValueError, configparser.Error, RecursionError):
            return None

    return read


def _leaves(key: Key, value: object) -> Iterator[tuple[Key, str]]:
    if isinstance(value, dict) and (value or not key):
        for name, inner in value.items():
            yield from _leaves((*key, name), inner)
    else:
        yield key, json.dumps(value, default=str)


def _json(text: str) -> dict[str, Any]:
    value = json.loads(text, object_pairs_hook=_unique)
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - read like any other content that cannot be read
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key twice")
    return value


def _toml(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = importlib.import_module("tomllib").loads(text)  # the standard library's, from 3.11
    return loaded


def _ini(text: str) -> dict[str, Any]:
    if _INCLUDE.search(text):
        raise ValueError("it includes other files")
    parser = configparser.RawConfigParser(strict=True, allow_no_value=True, default_section="\0")
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case
    try:
        parser.read_string(text)
    except AttributeError:  # it continues a key that has no value (python/cpython, configparser)
        raise ValueError("a value of no key") from None
    return {section: dict(parser.items(section)) for section in parser.sections()}


def _env(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.split("\n"):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _ENV_LINE.fullmatch(line.strip())
        if match is None or match[1] in found:
            raise ValueError("not NAME=VALUE, or a name twice")
        value = match[2]
        found[match[1]] = value[1:-1] if value[:1] in ("'", '"') else value.rstrip()
    return found
