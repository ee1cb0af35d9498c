"""What may be ordered of a host half, and what the arguments must be like: what speaks of checks and of the record."""

from __future__ import annotations

from backout.model import shape
from backout.model.check import AFTER, BEFORE, CHECK, REHEARSAL
from backout.model.effect import DOCUMENT
from backout.model.ledger import BODY

_CHECKS = shape.many(CHECK)
_REHEARSE: dict[str, shape.Shape] = {
    "change": shape.name,
    "argv": shape.many(shape.plain),
    "cwd": shape.plain,
    "environ": shape.mapping(shape.plain),
    "network": shape.one_of("none", "packages", "host"),
    "network_allow": shape.many(shape.plain),
    "timeout_s": shape.maybe(shape.number),
    "checks": _CHECKS,
    "stdin": shape.maybe(shape.whole),
    "terminal": shape.truth,
}
_KNOWN: dict[str, shape.Shape] = {"change": shape.text}
_TRIAL = {**_KNOWN, "chosen": shape.many(shape.whole), "checks": _CHECKS}
_JUDGED = shape.fields({"expected": shape.many(shape.maybe(shape.truth))})
_APPLY = {**_KNOWN, "body": BODY, "document": _JUDGED}
ARGUMENTS: dict[str, dict[str, shape.Shape]] = {
    "recover": {},
    **dict.fromkeys(("let_go", "atoms"), _KNOWN),
    "back_out": {**_KNOWN, "body": BODY},
    "trial": _TRIAL,
    "whole": {**_KNOWN, "checks": _CHECKS, "there": shape.truth},
    "compose": {**_TRIAL, "new": shape.name},
    "rehearse": _REHEARSE,
    "refuse": _APPLY,
    "apply": _APPLY,
    "keep": {**_KNOWN, "body": BODY},
    "take_back": {**_KNOWN, "new": shape.name, "body": BODY, "edits": shape.one_of("stop", "keep", "discard")},
    "redo": {**_KNOWN, "new": shape.name, "body": BODY},
    "check": {"checks": _CHECKS, "where": shape.one_of(BEFORE, REHEARSAL, AFTER)},
    "after": {**_KNOWN, "command": shape.plain},
    "texts": {**_KNOWN, "paths": shape.many(shape.path)},
    "mend": {"copies": shape.many(shape.anything)},
    "adopt": {"new": shape.name, "body": BODY, "document": DOCUMENT, "seq": shape.whole},
    "gc": {"older_than_s": shape.number, "standing": shape.truth, "dry_run": shape.truth},
    "pause": {"units": shape.many(shape.plain), "new": shape.name, "body": BODY},
}
"""The arguments of each operation, by the names of the methods of `acting.Acting`, and of `serve.Host` for `check`."""
OPTIONAL = {
    "rehearse": ("cwd", "environ", "network", "network_allow", "timeout_s", "checks", "stdin", "terminal"),
    "take_back": ("edits",),
    "back_out": ("body",),
}
"""Which of them may be missing."""
