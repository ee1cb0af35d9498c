"""Hostile content: samples as the program or others wrote them, mutated by bytes, lines and JSON values."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

TEXTS = (
    *("", "..", "../../etc/passwd", "/", "/etc/passwd", "/../x", "//x", "a/b", "-rf", "$(id)", "x\0y", "a\nb", "a\rb"),
    *("\x1b]0;owned\x07\x1b[2J", "\u202egnp.exe", "\udc80\udcff", "\ud800", "é" * 300, "%s%n", "0", "NaN"),
    "A" * 70_000,
)
NUMBERS = (0, -1, 1.5, 1e308, 2**31, 2**32, 2**63, 2**64, 10**400, -(2**70), True, False, None)
BYTES = (
    *(
        b"",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\r\n",
        b"\n\n",
        b"\n",
        b"\x1b[31m",
        b"..",
        b"/../../etc/shadow",
        b":",
    ),
    *(b",", b'"', b"'", b"=", b"[", b"{", b"]}", b"#", b";", b"\\", b"  ", b"\t", b"sha256=", b"99999999999999999999"),
    *(b"NaN", b"1e999", b"\xed\xa0\x80", "\u202e\u2028".encode(), b"&a *a", b"!include /etc/shadow"),
)
LONG = (b"[" * 3000, b'{"a":' * 3000, b"(" * 3000, b"A" * 200_000, b"a=b\n" * 3000, b"- " * 2000, b"9" * 5000)
_DEEP = 120


def hunted(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Have a property tried so often, always alike; with BACKOUT_EXAMPLES so often, anew each time."""
    wanted = os.environ.get("BACKOUT_EXAMPLES")
    return settings(
        max_examples=int(wanted or examples),
        derandomize=wanted is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def mutated(draw: st.DrawFn, samples: tuple[bytes, ...], edits: int = 4) -> bytes:
    """Draw a sample with a few of its bytes and lines cut, doubled, swapped, or something hostile put in."""
    content = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(0, edits))):
        content = draw(st.sampled_from(_EDITS))(draw, content)
    return content


def _inserted(draw: st.DrawFn, content: bytes) -> bytes:
    at = draw(st.integers(0, len(content)))
    return content[:at] + draw(st.one_of(st.sampled_from(BYTES), st.binary(max_size=6))) + content[at:]


def _replaced(draw: st.DrawFn, content: bytes) -> bytes:
    at = draw(st.integers(0, len(content)))
    return content[:at] + draw(st.sampled_from(BYTES)) + content[at + draw(st.integers(0, 8)) :]


def _cut(draw: st.DrawFn, content: bytes) -> bytes:
    return content[: draw(st.integers(0, len(content)))]


def _lines(draw: st.DrawFn, content: bytes) -> bytes:
    lines = content.split(b"\n")
    one, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    how = draw(st.sampled_from(("double", "drop", "swap", "join")))
    if how == "double":
        lines.insert(one, lines[other])
    elif how == "drop":
        del lines[one]
    elif how == "swap":
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines[one : one + 2] = [b"".join(lines[one : one + 2])]
    return b"\n".join(lines)


def _lengthened(draw: st.DrawFn, content: bytes) -> bytes:
    at = draw(st.integers(0, len(content)))
    return content[:at] + draw(st.sampled_from(LONG)) + content[at:]


_EDITS = (_inserted, _replaced, _cut, _lines, _inserted, _replaced, _lines, _lengthened)


def _nested() -> list[Any]:
    value: list[Any] = []
    for _ in range(_DEEP):
        value = [value]
    return value


ANY: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(NUMBERS),
    st.sampled_from([[], {}, [[]], {"": {}}, ["a", 1], {"type": "file"}]),
    st.just(float("inf")),
    st.builds(_nested),
)
"""Any value that JSON can hold, and some that it cannot."""


@st.composite
def edited(draw: st.DrawFn, samples: tuple[Any, ...], edits: int = 3) -> Any:
    """Draw a JSON value with a few of the values in it replaced, dropped, doubled or put elsewhere."""
    value = copy.deepcopy(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, edits))):
        places = list(_places(value))
        if not places:
            return copy.deepcopy(draw(ANY))
        holder, key = draw(st.sampled_from(places))
        how = draw(st.sampled_from(("replace", "replace", "drop", "take")))
        if how == "replace":
            holder[key] = copy.deepcopy(draw(ANY))
        elif how == "drop":
            del holder[key]
        else:
            taken_from, taken = draw(st.sampled_from(places))
            holder[key] = copy.deepcopy(taken_from[taken])
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    left = [value]
    while left:
        one = left.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        for key in keys:
            if len(found) < 2000:
                found.append((one, key))
                left.append(one[key])
    return found


def dumped(value: Any) -> bytes:
    """Write any such value as JSON; a value that is `NaN` of ours becomes what no parser comes back from."""
    return json.dumps(value).encode().replace(b'"NaN"', b"[" * 100_000 + b"]" * 100_000)
