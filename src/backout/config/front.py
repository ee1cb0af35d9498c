"""Front matter: what a Markdown file says of itself before its text, in TOML (`+++`) or as `key: value` (`---`).

Of YAML it reads what front matter is written in: texts, quoted or not, lists in brackets or one item a line, comments.
What is more is an error that names its line, and no guess.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from typing import Any, NamedTuple

from backout.errors import UsageError

_FENCES = {"---": "---", "+++": "+++"}
_KEY = re.compile(r"([A-Za-z_][\w.-]*)\s*:(?:\s+(.*))?$")
_ITEM = re.compile(r"\s*-\s+(.*)$")
_COMMENT = re.compile(r"\s+#.*$")
_TOML_LINE = re.compile(r" \(at line (\d+), column \d+\)$")
_BEYOND = ("|", ">", "{", "&", "*", "!", "%", "@", "`")
"""With what a value of YAML begins that is more than a text or a list."""


class Fronted(NamedTuple):
    """A file's front matter, empty where it has none, and the text below."""

    front: dict[str, Any]
    text: str


def read(text: str, file: str) -> Fronted:
    """Take front matter and text apart; `file` is how errors name it. What cannot be read is a UsageError."""
    lines = text.removeprefix("\ufeff").splitlines()
    fence = lines[0].rstrip() if lines else ""
    if fence not in _FENCES:
        return Fronted({}, text.removeprefix("\ufeff"))
    end = next((at for at, line in enumerate(lines[1:], 1) if line.rstrip() == fence), None)
    if end is None:
        raise _wrong(file, 1, f"the front matter that begins here has no end, a line of {fence}")
    inner = lines[1:end]
    front = _toml(inner, file) if fence == "+++" else _simple(inner, file)
    return Fronted(front, "\n".join(lines[end + 1 :]).strip("\n"))


def _toml(lines: list[str], file: str) -> dict[str, Any]:
    try:
        front: dict[str, Any] = json.loads(json.dumps(tomllib.loads("\n".join(lines)), default=str))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        found = _TOML_LINE.search(str(error))
        line = 1 + (int(found[1]) if found else len(lines))
        raise _wrong(file, line, f"this is not TOML: {_TOML_LINE.sub('', str(error))}") from None
    return front


def _simple(lines: list[str], file: str) -> dict[str, Any]:
    front: dict[str, Any] = {}
    key = ""
    for number, line in enumerate(lines, 2):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if (item := _ITEM.match(line)) and isinstance(front.get(key), list | None) and key:
            front[key] = [*(front[key] or []), _value(item[1], file, number)]
            continue
        found = _KEY.match(line)
        if found is None:
            raise _wrong(file, number, "this is neither `key: value` nor an item of a list, `- value`")
        key = found[1]
        if key in front:
            raise _wrong(file, number, f"{key} is here twice")
        written = (found[2] or "").strip()
        front[key] = _value(written, file, number) if written and not written.startswith("#") else None
    return front


def _value(written: str, file: str, line: int) -> Any:
    """Read a text, a list in brackets, a number, true or false; dates stay texts."""
    text = written.strip()
    if text[:1] in ("'", '"'):
        return _quoted(text, file, line)
    text = _COMMENT.sub("", text)
    if text.startswith("["):
        if not text.endswith("]"):
            raise _wrong(file, line, "a list that begins with [ ends with ] on its line")
        return [_value(part, file, line) for part in _parts(text[1:-1]) if part.strip()]
    if text.startswith(_BEYOND):
        raise _wrong(file, line, f"a value that begins with {text[0]} is more than backout reads; put it in quotes")
    if re.fullmatch(r"-?\d{1,15}", text):
        return int(text)
    return {"true": True, "false": False, "null": None, "~": None}.get(text, text)


def _quoted(text: str, file: str, line: int) -> str:
    end = re.match(r"'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\"", text)
    if end is None or _COMMENT.sub("", f" {text[end.end() :]}").strip():
        raise _wrong(file, line, "a text in quotes ends with its line, and nothing but a comment follows")
    if text[0] == "'":
        return end.group()[1:-1].replace("''", "'")
    try:
        return str(ast.literal_eval(end.group()))
    except (SyntaxError, ValueError):
        raise _wrong(file, line, "a text in quotes has an escape that is none") from None


def _parts(text: str) -> list[str]:
    """Cut at commas that are not in quotes."""
    return re.findall(r"(?:[^,'\"]|'[^']*'|\"(?:[^\"\\]|\\.)*\")+", text)


def _wrong(file: str, line: int, problem: str) -> UsageError:
    return UsageError(
        f"{file}:{line}: {problem}.", state="Nothing of that file was taken in.", next="Mend it, then import it again."
    )
