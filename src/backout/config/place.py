"""Where in a TOML file a value stands. tomllib tells what a file says, but not on which line it says it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]
"""The way to a value: table names, and the numbers of tables in an array, from 0."""


class Places:
    """The lines of one valid TOML text, by the path of what they say."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._arrays: dict[Path, int] = {}
        table: Path = ()
        for number, statement, said in _statements(text):
            if statement.startswith("["):
                table = self._header(statement, said, number)
            else:
                self._note(table, said, number)

    def line(self, path: Path) -> int | None:
        """Give the line (from 1) of the value, or of the nearest table around it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path)

    def _header(self, statement: str, said: dict[str, Any], number: int) -> Path:
        """Resolve `[a.b]` or `[[a.b]]` to a path: inside an array of tables, it is the last one that is meant."""
        names = _header_names(said)
        path: Path = ()
        for position, name in enumerate(names, start=1):
            path += (name,)
            if statement.startswith("[[") and position == len(names):
                self._arrays[path] = self._arrays.get(path, 0) + 1
            if path in self._arrays:
                path += (self._arrays[path] - 1,)
            self._lines.setdefault(path, number)
        return path

    def _note(self, table: Path, said: dict[str, Any], number: int) -> None:
        for name, value in said.items():
            self._lines.setdefault((*table, name), number)
            if isinstance(value, dict):
                self._note((*table, name), value, number)


def _statements(text: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Cut the text into statements, which may span lines: one is complete when TOML can read it alone."""
    start, statement = 1, ""
    for number, line in enumerate(text.split("\n"), start=1):
        start = start if statement else number
        statement += line + "\n"
        try:
            said = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        yield start, statement.strip(), said
        statement = ""


def _header_names(said: dict[str, Any]) -> list[str]:
    """Give a, b for what `[a.b]` or `[[a.b]]` says when it is read alone."""
    names = []
    while said:
        name, inner = next(iter(said.items()))
        names.append(name)
        said = inner[0] if isinstance(inner, list) else inner
    return names
