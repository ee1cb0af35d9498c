"""What may be asked of a host half, and what the arguments must be like: what can be told with plain shapes alone.

Contacts that only look ask for nothing else. The rest, which imports more, is in `host.orders`.
"""

from __future__ import annotations

from typing import Any

from backout.errors import UsageError
from backout.model import shape
from backout.model.fact import KINDS

_KNOWN: dict[str, shape.Shape] = {"change": shape.text}
_FACT = shape.fields({"kind": shape.one_of(*KINDS), "subject": shape.text})
_LOOKED: dict[str, shape.Shape] = {"watch": shape.many(shape.path), "services": shape.many(shape.plain)}
ARGUMENTS: dict[str, dict[str, shape.Shape]] = {
    **{operation: {} for operation in ("hello", "doctor", "is_whole", "changes", "enforcers")},
    **dict.fromkeys(("show", "output"), _KNOWN),
    "give_out": {"path": shape.plain},
    "lay": {"original": shape.maybe(shape.base64), "copy": shape.base64},
    "look": {**_LOOKED, "kinds": shape.maybe(shape.many(shape.one_of(*KINDS)))},
    "save_state": {"incident": shape.name, **_LOOKED, "within_s": shape.number},
    "back_up": {"command": shape.plain, "within_s": shape.number},
    "left": {"changes": shape.many(shape.name), "paths": shape.many(shape.plain)},
    "attribute": {"wanted": shape.many(_FACT), "since_s": shape.number},
    "unfinished": {"wait": shape.truth},
    "entries": {"after": shape.whole},
}
"""The arguments of each operation, by the names of the methods of `serve.Host`."""
_OPTIONAL: dict[str, tuple[str, ...]] = {"entries": ("after",), "look": ("kinds",)}


def parse(line: bytes) -> tuple[str, dict[str, Any]]:
    """Read a request: its operation and arguments; a UsageError when it is none that can be answered."""
    try:
        request = shape.load(line)
    except ValueError as error:
        raise UsageError(f"The request cannot be read: {error}.") from error
    operation = request.pop("op", "") if isinstance(request, dict) else ""
    fits = _shape(operation) if isinstance(operation, str) else None
    if fits is None:
        raise UsageError(f"This backout does not know the operation {operation!r}.")
    if not fits(request):
        raise UsageError(f"The operation {operation!r} was asked for with arguments that it does not take.")
    return operation, request


def _shape(operation: str) -> shape.Shape | None:
    """Tell what the arguments of an operation must be like; None where there is no such operation."""
    arguments, optional = ARGUMENTS, _OPTIONAL
    if operation not in arguments:
        from backout.host import orders

        arguments, optional = orders.ARGUMENTS, orders.OPTIONAL
    known = arguments.get(operation)
    return None if known is None else shape.fields(known, optional.get(operation, ()), closed=True)
