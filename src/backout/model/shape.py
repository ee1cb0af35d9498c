"""Shapes: what a JSON value must be like before anything is made of it. Each is a function that tells whether it fits.

Whatever was written by others, or has lain on a disk, is held against one: a value that fits is read without a doubt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from functools import cache
from typing import Any

Shape = Callable[[Any], bool]

DEEPEST = 100
"""Levels of lists and objects that are read: no format of ours has a tenth of that."""
_LARGEST = 1 << 64
_YEAR_10000_S = 253402300800
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


def load(content: bytes | str) -> Any:
    """Read JSON; a ValueError whatever is wrong with it: nested too deeply, or with numbers that JSON does not have."""
    text = content if isinstance(content, str) else content.decode()
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if text.count("[") + text.count("{") > DEEPEST and is_deeper(value, DEEPEST):
        raise ValueError("it is nested too deeply")
    return value


def load_lines(content: bytes) -> list[Any]:
    """Read one JSON value a line, all at once, which takes a third of reading each; a ValueError as from `load`."""
    lines = content.decode().split("\n")
    if any(line.count("[") + line.count("{") > DEEPEST for line in lines):
        return [load(line) for line in lines]
    values: list[Any] = _DECODER.decode(f"[{','.join(lines)}]")
    if len(values) != len(lines):
        raise ValueError("it is not one value a line")
    return values


_NESTED = frozenset((dict, list))
"""What a reader of JSON or TOML makes of nested values, and no class that is made of these."""


def is_deeper(value: Any, levels: int) -> bool:
    """Tell whether lists and objects are nested in more than so many levels: what walks them would not come back."""
    here = [value] if type(value) in _NESTED else []
    while here and levels > 0:  # of a thousand values few are nested, and only these are looked into
        here = [
            inner
            for one in here
            for inner in (one.values() if isinstance(one, dict) else one)
            if type(inner) in _NESTED
        ]
        levels -= 1
    return bool(here)


def _refused(constant: str) -> Any:
    raise ValueError(f"JSON has no {constant}")


def _finite(digits: str) -> float:
    value = float(digits)
    return value if abs(value) < float("inf") else _refused(digits)


_DECODER = json.JSONDecoder(parse_constant=_refused, parse_float=_finite)
"""Made once: json.loads would make one for each line of a million."""


def text(value: Any) -> bool:
    """Text that stands for bytes: surrogates in it are escapes, and none stands for itself."""
    if not isinstance(value, str):
        return False
    if value.isascii():
        return True
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def plain(value: Any) -> bool:
    """Text without a NUL, which no argument, name or variable of a process can hold."""
    return text(value) and "\0" not in value


def name(value: Any) -> bool:
    """A plain name that can be a file's: of a change, for one."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def path(value: Any) -> bool:
    """An absolute path that climbs nowhere, as the kernel would spell it."""
    if not plain(value) or not value.startswith("/"):
        return False
    return value == "/" or not {"", ".", ".."} & set(value[1:].split("/"))


def whole(value: Any) -> bool:
    """A whole number, not negative, of 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST


def signed(value: Any) -> bool:
    """A whole number of 64 bits: times before 1970 are negative."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST


def number(value: Any) -> bool:
    """A number of seconds, not negative, and none that a calendar lacks."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _YEAR_10000_S


def truth(value: Any) -> bool:
    """True or false."""
    return isinstance(value, bool)


def anything(value: Any) -> bool:
    """Whatever there is, for those who look closer themselves."""
    del value
    return True


def one_of(*words: str) -> Shape:
    """One of these words."""
    return lambda value: isinstance(value, str) and value in words


def like(pattern: str) -> Shape:
    """Text that matches a pattern from end to end."""

    @cache
    def compiled() -> re.Pattern[str]:  # which takes long, and few patterns are asked for by any one process
        return re.compile(pattern)

    return lambda value: text(value) and compiled().fullmatch(value) is not None


base64 = like("(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
"""Bytes, in the one way to write them in base64 (RFC 4648)."""


def maybe(shape: Shape) -> Shape:
    """Null, or a value of that shape."""
    return lambda value: value is None or shape(value)


def either(*shapes: Shape) -> Shape:
    """A value of any of these shapes."""
    return lambda value: any(shape(value) for shape in shapes)


def many(shape: Shape) -> Shape:
    """A list of values of that shape."""
    return lambda value: isinstance(value, (list, tuple)) and all(map(shape, value))


def row(*shapes: Shape) -> Shape:
    """A list of exactly these."""
    return lambda value: (
        isinstance(value, (list, tuple))
        and len(value) == len(shapes)
        and all(shape(one) for shape, one in zip(shapes, value))
    )


def mapping(shape: Shape) -> Shape:
    """An object with values of that shape under any names."""
    return lambda value: isinstance(value, dict) and all(plain(key) and shape(inner) for key, inner in value.items())


def fields(shapes: dict[str, Shape], optional: Collection[str] = (), *, closed: bool = False) -> Shape:
    """An object with these fields, of which some may be missing; others may be there, unless it is `closed`."""
    return lambda value: (
        isinstance(value, dict)
        and all(shape(value[key]) if key in value else key in optional for key, shape in shapes.items())
        and not (closed and value.keys() - shapes.keys())
    )
