"""The change that everybody took for harmless: a Puppet run, or a script that does the same without Puppet."""

from __future__ import annotations

import os
import shutil
from typing import NamedTuple

from backout.drill.world import World, write


class Change(NamedTuple):
    """How to make the change on one shop.

    `noop` is the dry run that there is, None where there is none; `ok` the exit codes that mean success; `traces` a
    selector for what the tool itself writes.
    """

    tool: str
    command: tuple[str, ...]
    noop: tuple[str, ...] | None
    ok: tuple[int, ...]
    traces: str | None


def change_for(world: World, shop: str) -> Change:
    """Write the change for a shop down, in the drill's folder, and say how to run it."""
    name = os.path.basename(shop)
    here = world.path("puppet")
    puppet = shutil.which("puppet")
    if puppet is None:
        script = write(here, f"{name}.sh", shop, template="change.sh")
        return Change("script", ("sh", script), None, (0,), None)
    write(here, "puppet.conf", shop, here=here)
    manifest = write(here, f"{name}.pp", shop, template="change.pp")
    apply = (puppet, "apply", "--color=false", "--confdir", here)
    # With --detailed-exitcodes, 2 means that something was changed, and nothing failed (man puppet-apply).
    command = (*apply, "--detailed-exitcodes", manifest)
    return Change("puppet", command, (*apply, "--noop", manifest), (0, 2), f"file:{here}/*")
