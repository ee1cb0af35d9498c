"""Reading one TOML table: its keys are known, its values have the type that is wanted, or the place is named."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import TypeVar

from backout import __version__
from backout.config.nearest import did_you_mean
from backout.config.place import Path, Places
from backout.errors import ConfigError
from backout.model.convert import WantedError

Value = TypeVar("Value")
Default = TypeVar("Default")

_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (str, "a long text"),
    (list, "a list"),
    (dict, "a table"),
    (dt.date, "a date"),
    (dt.time, "a time"),
)
_SHORT = 40


class Source:
    """The file that is being read: it names places and makes the errors."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self._text = file, text

    def error(self, path: Path, problem: str, next: str = "") -> ConfigError:
        """Make the error for what stands at the path: `FILE:LINE: the.path PROBLEM`."""
        line = Places(self._text).line(path)  # only now: it takes longer than all the rest
        return ConfigError(f"{self.file}{f':{line}' if line else ''}: {dotted(path)} {problem}", next=next)


class Table:
    """One table. Making it refuses keys that are not known; `later` are those that this release does not read yet."""

    def __init__(
        self, source: Source, values: object, path: Path, keys: tuple[str, ...], later: tuple[str, ...] = ()
    ) -> None:
        if not isinstance(values, dict):
            raise source.error(path, f"must be a table, not {found(values)}.")
        self.source, self.path, self._values = source, path, values
        for key in values:
            if key in later:
                raise source.error(
                    (*path, key),
                    f"is not supported by backout {__version__}; it comes with a later release.",
                    "Comment it out until then.",
                )
            if key not in keys:
                raise source.error((*path, key), "is not a known key.", did_you_mean(key, keys))

    def need(self, key: str, convert: Callable[[object], Value]) -> Value:
        """Give the converted value of a key that must be there."""
        if key not in self._values:
            raise self.source.error(self.path, f'needs the key "{key}".')
        return self._converted(key, convert)

    def take(self, key: str, convert: Callable[[object], Value], default: Default) -> Value | Default:
        """Give the converted value, or the default. `convert` raises a WantedError for a value that does not fit."""
        return self._converted(key, convert) if key in self._values else default

    def _converted(self, key: str, convert: Callable[[object], Value]) -> Value:
        try:
            return convert(self._values[key])
        except WantedError as error:
            problem = f"must be {error.wanted}, not {found(error.value)}."
            raise self.source.error((*self.path, key), problem, self._as_list(key, convert)) from None

    def _as_list(self, key: str, convert: Callable[[object], object]) -> str:
        """Show how one text or number would be written where a list of such is wanted."""
        value = self._values[key]
        if not isinstance(value, str | int):
            return ""
        try:
            convert([value])
        except WantedError:
            return ""
        return f"Write {key} = [{json.dumps(value, ensure_ascii=False)}]"

    def tables(self, key: str) -> Iterator[tuple[str, object, Path]]:
        """Walk a table of named tables: name, contents, path."""
        inner = self._values.get(key, {})
        if not isinstance(inner, dict):
            raise self.source.error((*self.path, key), f"must be a table, not {found(inner)}.")
        for name, values in inner.items():
            yield name, values, (*self.path, key, name)

    def rows(self, key: str) -> Iterator[tuple[object, Path]]:
        """Walk an array of tables: contents, path."""
        inner = self._values.get(key, [])
        if not isinstance(inner, list):
            raise self.source.error((*self.path, key), f"must be written [[{dotted((*self.path, key))}]].")
        for index, values in enumerate(inner):
            yield values, (*self.path, key, index)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __getitem__(self, key: str) -> object:
        return self._values[key]


def dotted(path: Path) -> str:
    """Write a path as people do, counting tables in an array from 1: `environments.production.checks[2].name`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += f".{_short(part)}" if text else _short(part)
    return text


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def found(value: object) -> str:
    """Say what a value is: a short text or a number as it is, of anything else the type."""
    if isinstance(value, str) and len(value) <= _SHORT:
        return f'"{value}"'
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _short(str(value))
    return next(name for kind, name in _TYPES if isinstance(value, kind))
