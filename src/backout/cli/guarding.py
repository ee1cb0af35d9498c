"""The guards that a command line meets, and those that it passes."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable

from backout.config.nearest import did_you_mean
from backout.config.values import Config, Environment
from backout.errors import RefusedError, UsageError
from backout.flow.guards import Guarding
from backout.model.guard import Guard


def guarding(options: Namespace, config: Config, environment: Environment | None) -> Guarding | None:
    """Give the guards of the environment's changes, None where there are none.

    What --override names must be among them, and may be passed only where backout.toml allows that.
    """
    name = None if environment is None else environment.name
    guards = tuple(guard for guard in config.guards if guard.judges(name))
    _require_passable(options, config, guards, name)
    if not guards:
        return None
    return Guarding(guards, frozenset(options.override), config.folder)


def _require_passable(options: Namespace, config: Config, guards: Iterable[Guard], environment: str | None) -> None:
    if options.override and not options.why.strip():
        line = f"--override {options.override[0]} --why TEXT"
        raise UsageError("An override needs a reason, which the record keeps.", next=f"Give {line}")
    known = {guard.name: guard for guard in guards}
    for name in options.override:
        if name in known and not known[name].override:
            raise RefusedError(
                f"Guard {name} may not be overridden: {known[name].why}",
                next=f"Whoever answers for it may say override = true for it in {config.path}.",
            )
        if name not in known:
            there = name in (guard.name for guard in config.guards)
            where = f"does not judge changes of {environment or 'no environment'}" if there else "is no guard"
            raise UsageError(f"{name} {where}.", next=did_you_mean(name, tuple(known)) or "Leave out --override.")
