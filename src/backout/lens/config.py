"""Configuration keys: ini, toml, json and env files, key by key; whatever else is text stays a file with a diff.

`before` and `after` are masked where they look like a secret; `content` hashes the true values and lines, so that two
secrets that look alike in a report are still two. Like any hash of a short secret it could be guessed at: it is worth
no less guarding than the hash of the file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping, Sequence

from backout.lens.content import content_of, only_bytes_differ
from backout.lens.formats import LARGEST_BYTES, reader_for
from backout.lens.hunks import Flat, Hunk, Key, applied, attributed
from backout.lens.view import Claims, View
from backout.model.effect import Effect, RawEffect, operation
from backout.model.redact import MASK, redact_value

RANK = 70

_LONG_NUMBER = re.compile(rb"\d{4300}")
"""More digits than Python reads (docs.python.org, "Integer string conversion length limitation")."""
_PLAIN = re.compile(r"[^\s.\"#]+")


def claim(raw: Mapping[bytes, RawEffect], view: View) -> Claims:
    """Give one effect a key, `PATH#dotted.key`, of the files whose keys account for their whole difference.

    Not claimed is a file that is new, whose metadata changed as well, or of which a comment or the layout changed.
    """
    effects: list[Effect] = []
    explained = set()
    for path in sorted(raw):
        read = reader_for(path)
        if read is None or not _has_other_bytes(raw[path]) or _is_large(raw[path]):
            continue
        before, after = view.before(path), view.after(path)
        hunks = None if before is None or after is None else attributed(before, after, read)
        if hunks:
            effects.extend(_effects(path, read(before or b"") or {}, read(after or b"") or {}, hunks))
            explained.add(path)
    return Claims(tuple(effects), frozenset(explained))


def known(path: bytes, content: bytes) -> list[tuple[str, object]]:
    """Tell every key of a file as effects show it: subject and value, masked; none of what is no configuration."""
    read = reader_for(path)
    flat = (read(content) if read is not None else None) or {}
    rows = ((_subject(path, key), _shown(key, text)) for key, text in flat.items())
    return [row for row in rows if _can_be_told(row)]


def _can_be_told(row: tuple[str, object]) -> bool:
    """Tell whether other programs can read it: numbers and characters may be in a file that JSON does not have."""
    try:
        written = json.dumps(row, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogateescape")
    except ValueError:
        return False
    return _LONG_NUMBER.search(written) is None


def project(path: bytes, before: bytes, after: bytes, subjects: Collection[str]) -> bytes | None:
    """Give the file with only the lines of the keys named in it; keys that changed in one line go together."""
    read = reader_for(path)
    hunks = None if read is None else attributed(before, after, read)
    if hunks is None:
        return None
    return applied(before, [hunk for hunk in hunks if any(_subject(path, key) in subjects for key in hunk.keys)])


def _has_other_bytes(effect: RawEffect) -> bool:
    """Tell whether a file has other bytes and the same metadata; most that a package brings are as they were."""
    before, after = effect.before, effect.after
    return only_bytes_differ(effect) and before is not None and after is not None and before.sha256 != after.sha256


def _is_large(effect: RawEffect) -> bool:
    return any(side is not None and side.size > LARGEST_BYTES for side in (effect.before, effect.after))


def _effects(path: bytes, before: Flat, after: Flat, hunks: Sequence[Hunk]) -> list[Effect]:
    found = []
    for hunk in hunks:
        lines = [os.fsdecode(line) for line in hunk.lines]
        for key in sorted(hunk.keys):
            old, new = before.get(key), after.get(key)
            content = content_of((), [path.hex(), list(key), old, new, lines])
            shown = _shown(key, old), _shown(key, new)
            found.append(
                Effect("config", _subject(path, key), operation(old, new), *shown, content=content, paths=(path,))
            )
    return found


def _subject(path: bytes, key: Key) -> str:
    """Write a key as TOML would: a part with a dot or a space in it is quoted."""
    parts = [part if _PLAIN.fullmatch(part) else json.dumps(part, ensure_ascii=False) for part in key]
    return f"{os.fsdecode(path)}#{'.'.join(parts)}"


def _shown(key: Key, text: str | None) -> object:
    """Give a value for people; the text null for a null that is there, to tell it from nothing."""
    if text is None:
        return None
    value = json.loads(text)
    return "null" if value is None else _masked(key, value)


def _masked(key: Key, value: object) -> object:
    if isinstance(value, dict):
        return {name: _masked((*key, name), inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(key, inner) for inner in value]
    if any(redact_value(part, "") == MASK for part in key):
        return MASK
    return redact_value(key[-1] if key else "", value) if isinstance(value, str) else value
