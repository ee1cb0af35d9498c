"""What may be asked of a host half: every operation of the wire, and what its arguments must be like."""

from __future__ import annotations

from typing import Any

from backout.errors import UsageError
from backout.model import shape
from backout.model.check import AFTER, BEFORE, CHECK, REHEARSAL
from backout.model.effect import DOCUMENT
from backout.model.fact import KINDS
from backout.model.ledger import BODY

_CHECKS, _TEXTS = shape.many(CHECK), shape.many(shape.plain)
_REHEARSE: dict[str, shape.Shape] = {
    "change": shape.name,
    "argv": _TEXTS,
    "cwd": shape.plain,
    "environ": shape.mapping(shape.plain),
    "network": shape.one_of("none", "packages", "host"),
    "network_allow": _TEXTS,
    "timeout_s": shape.maybe(shape.number),
    "checks": _CHECKS,
    "stdin": shape.maybe(shape.whole),
    "terminal": shape.truth,
}
_KNOWN: dict[str, shape.Shape] = {"change": shape.text}
_TRIAL = {**_KNOWN, "chosen": shape.many(shape.whole), "checks": _CHECKS}
_JUDGED = shape.fields({"expected": shape.many(shape.maybe(shape.truth))})
_APPLY = {**_KNOWN, "body": BODY, "document": _JUDGED}
_FACT = shape.fields({"kind": shape.one_of(*KINDS), "subject": shape.text})
ARGUMENTS: dict[str, dict[str, shape.Shape]] = {
    **{operation: {} for operation in ("hello", "doctor", "recover", "is_whole", "changes", "enforcers")},
    **dict.fromkeys(("let_go", "back_out", "show", "output", "atoms"), _KNOWN),
    "trial": _TRIAL,
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
    "give_out": {"path": shape.plain},
    "lay": {"original": shape.maybe(shape.base64), "copy": shape.base64},
    "mend": {"copies": shape.many(shape.anything)},
    "look": {
        "watch": shape.many(shape.path),
        "services": _TEXTS,
        "kinds": shape.maybe(shape.many(shape.one_of(*KINDS))),
    },
    "save_state": {
        "incident": shape.name,
        "watch": shape.many(shape.path),
        "services": _TEXTS,
        "within_s": shape.number,
    },
    "back_up": {"command": shape.plain, "within_s": shape.number},
    "left": {"changes": shape.many(shape.name), "paths": _TEXTS},
    "attribute": {"wanted": shape.many(_FACT), "since_s": shape.number},
    "adopt": {"new": shape.name, "body": BODY, "document": DOCUMENT, "seq": shape.whole},
    "unfinished": {"wait": shape.truth},
    "entries": {"after": shape.whole},
    "gc": {"older_than_s": shape.number, "standing": shape.truth, "dry_run": shape.truth},
    "pause": {"units": _TEXTS, "new": shape.name, "body": BODY},
}
"""The arguments of each operation, by the names of the methods of `serve.Host` and `acting.Acting`."""
_OPTIONAL = {
    "rehearse": ("cwd", "environ", "network", "network_allow", "timeout_s", "checks", "stdin", "terminal"),
    "take_back": ("edits",),
    "entries": ("after",),
    "look": ("kinds",),
}


def parse(line: bytes) -> tuple[str, dict[str, Any]]:
    """Read a request: its operation and arguments; a UsageError when it is none that can be answered."""
    try:
        request = shape.load(line)
    except ValueError as error:
        raise UsageError(f"The request cannot be read: {error}.") from error
    operation = request.pop("op", None) if isinstance(request, dict) else None
    if not isinstance(operation, str) or operation not in ARGUMENTS:
        raise UsageError(f"This backout does not know the operation {operation!r}.")
    if not shape.fields(ARGUMENTS[operation], _OPTIONAL.get(operation, ()), closed=True)(request):
        raise UsageError(f"The operation {operation!r} was asked for with arguments that it does not take.")
    return operation, request
