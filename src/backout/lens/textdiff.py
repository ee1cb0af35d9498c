"""Text diffs for people: unified, redacted, bounded. They take no part in digests."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from backout.lens.view import View
from backout.model.effect import RawEffect
from backout.model.redact import MASK, redact, redact_value

LARGEST_BYTES = 1 << 20
"""Above this size a file is not read for a diff."""
LONGEST_LINES = 200
"""Where a diff is cut; how much is left out is said."""
_TOTAL_LINES = 20_000
_COMPARED = 4_000_000
_WIDEST = 1000
_CONTEXT = 3
_UNENDED = "\\ No newline at end of file"

_SECRET_PLACES = re.compile(
    r"/etc/(?:g?shadow|security/opasswd)[^/]*$|/etc/ssl/private/|/debconf/passwords\.dat|/\.?(?:netrc|pgpass|htpasswd|my\.cnf)$"
    r"|/\.ssh/id_[^/]*(?<!\.pub)$|/\.(?:docker/config\.json|git-credentials|pypirc)$|\.(?:key|p12|pfx|jks|kdbx)$"
)
"""Files whose secrets do not look like `NAME=VALUE`, so that masking lines would miss them: no diff at all."""

_Lines = Sequence[str]


class _Change(NamedTuple):
    """Lines `i1` to `i2` of the content before become lines `j1` to `j2` of the content after."""

    i1: int
    i2: int
    j1: int
    j2: int


def text_diff(before: bytes | None, after: bytes | None, path: bytes) -> str | None:
    """Give a unified diff of two contents (None: not there) with what looks like a secret masked.

    None when either is binary, not UTF-8 or above `LARGEST_BYTES`, when the file is one that holds nothing but secrets,
    or when nothing differs. The comparison is made before masking, so that a changed secret is seen to have changed.
    """
    if _is_secret(path):
        return None
    old, new = _lines(before), _lines(after)
    if old is None or new is None or old == new:
        return None
    shown = list(_unified(old, new))
    name = _header_name(path)
    head = ["--- " + ("/dev/null" if before is None else name), "+++ " + ("/dev/null" if after is None else name)]
    if len(shown) > LONGEST_LINES:
        shown[LONGEST_LINES:] = [f"… {len(shown) - LONGEST_LINES} more lines"]
    return "\n".join(head + shown) + "\n"


def _header_name(path: bytes) -> str:
    """Give a path for a diff's header, as git and GNU diff do: on one line, quoted in C's way where it needs to be."""
    name = os.fsdecode(path)
    if name.isprintable():
        return name
    return '"' + "".join(chr(b) if 0x20 <= b < 0x7F and b not in b'"\\' else f"\\{b:03o}" for b in path) + '"'  # noqa: PLR2004


def diffs(effects: Sequence[RawEffect], view: View) -> dict[bytes, str]:
    """Give the diffs of the regular files among the effects, those edited first, until they would fill a book."""
    found: dict[bytes, str] = {}
    left = _TOTAL_LINES
    for effect in sorted(effects, key=lambda e: (e.op() != "edited", e.path)):
        if left <= 0:
            break
        if not _may_be_read(effect):
            continue
        before = None if effect.before is None else view.before(effect.path)
        after = None if effect.after is None else view.after(effect.path)
        diff = text_diff(before, after, effect.path)
        if diff is not None:
            found[effect.path] = diff
            left -= diff.count("\n")
    return found


def _may_be_read(effect: RawEffect) -> bool:
    sides = [side for side in (effect.before, effect.after) if side is not None]
    return all(side.type == "file" and side.size <= LARGEST_BYTES for side in sides) and not _is_secret(effect.path)


def _is_secret(path: bytes) -> bool:
    name = os.fsdecode(path)
    stem, suffix = os.path.splitext(os.path.basename(name))
    is_bare = suffix in ("", ".txt", ".secret", ".token") and redact_value(stem, "") == MASK
    return is_bare or bool(_SECRET_PLACES.search(name))


def _lines(content: bytes | None) -> list[str] | None:
    """Give the lines with their ends, so that one without an end is another line than the same with one."""
    if content is None:
        return []
    if len(content) > LARGEST_BYTES or b"\0" in content:
        return None
    try:
        *lines, last = content.decode().split("\n")
    except UnicodeDecodeError:
        return None
    return [*(line + "\n" for line in lines), *([last] if last else [])]


def _unified(old: _Lines, new: _Lines) -> Iterator[str]:
    masked_old, masked_new = _masked(old), _masked(new)
    for group in _groups(_changes(old, new), len(old)):
        first, last = group[0], group[-1]
        start, end = max(first.i1 - _CONTEXT, 0), min(last.i2 + _CONTEXT, len(old))
        shift, tail = first.j1 - first.i1, last.j2 - last.i2
        yield f"@@ -{_span(start, end)} +{_span(start + shift, end + tail)} @@"
        at = start
        for change in group:
            yield from (" " + line for line in masked_old[at : change.i1])
            yield from ("-" + line for line in masked_old[change.i1 : change.i2])
            yield from ("+" + line for line in masked_new[change.j1 : change.j2])
            at = change.i2
        yield from (" " + line for line in masked_old[at:end])


def _span(start: int, end: int) -> str:
    return f"{start + 1 if end > start else start},{end - start}"


def _changes(old: _Lines, new: _Lines) -> list[_Change]:
    """Compare what is left between the common head and tail; as one block where comparing would take too long."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
    if len(middle_old) * len(middle_new) > _COMPARED:
        return [_Change(head, head + len(middle_old), head, head + len(middle_new))]
    codes = difflib.SequenceMatcher(None, middle_old, middle_new).get_opcodes()
    return [_Change(head + i1, head + i2, head + j1, head + j2) for tag, i1, i2, j1, j2 in codes if tag != "equal"]


def _groups(changes: list[_Change], length: int) -> list[list[_Change]]:
    """Put changes whose context would touch under one heading."""
    groups: list[list[_Change]] = []
    end = -length
    for change in changes:
        if groups and change.i1 - end <= 2 * _CONTEXT:
            groups[-1].append(change)
        else:
            groups.append([change])
        end = change.i2
    return groups


def _masked(lines: _Lines) -> list[str]:
    """Mask each line by itself, and every line inside a private key, so that lines keep their numbers.

    Ends are left out; below a line without one, that is said, as POSIX has it (diff, "No newline at end of file").
    """
    masked, inside = [], False
    for ended in lines:
        line = ended.rstrip("\n")
        inside = inside or ("-----BEGIN " in line and "PRIVATE KEY-----" in line)
        shown = MASK if inside else redact(line[:_WIDEST]) + ("…" if len(line) > _WIDEST else "")
        masked.append(shown if ended.endswith("\n") else f"{shown}\n{_UNENDED}")
        inside = inside and not ("-----END " in line and "PRIVATE KEY-----" in line)
    return masked
