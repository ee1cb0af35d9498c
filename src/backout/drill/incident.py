"""What people do around act 3: the alarm, a note, the words to the client, and the letter at the end."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from backout.drill import claims
from backout.drill.claims import Claim, Outage
from backout.drill.mailbox import Mailbox
from backout.drill.process import must
from backout.drill.world import PRODUCTION, World

_WHY = "a change of one setting brought new packages along, and one of them does not fit the shop"


class Spoken(NamedTuple):
    """What came of it: its claims, and the letter as the client has it."""

    claims: tuple[Claim, ...]
    letter: str


def met(world: World, cli: tuple[str, ...], mailbox: Mailbox, outage: Outage, doing: Callable[[str], None]) -> Spoken:
    """Open the incident that a change made, tell the client, close it, and send the letter: each with a command."""
    config = os.path.join(world.folder, "backout.toml")

    def backout(*words: str) -> dict[str, Any]:
        doing(f"backout {' '.join(repr(word) if ' ' in word else word for word in words)}")
        done = must([*cli, words[0], "--json", "--config", config, *words[1:]], world.environ())
        document: dict[str, Any] = json.loads(done.output)
        return document

    panic = backout("panic", "-e", PRODUCTION, "the shop answered nobody")
    backout("tell", "--yes")
    backout("note", "decided: the change was taken back; we look at it in peace")
    backout("note", "--clock", f"impact_started={_clock(math.floor(outage.begun_at))}")
    backout("note", "--clock", f"mitigated={_clock(math.ceil(outage.ended_at))}")
    calm = backout("calm", "--why", _WHY, "--done", "the change was taken back, whole", "--lost", "none")
    backout("tell", "--yes")
    backout("tell", "--letter", "--yes")
    mails = mailbox.mails
    letter = mails[-1].text if mails else ""
    found = claims.of_the_incident(panic, calm, [mail.subject for mail in mails], outage, letter)
    return Spoken(found, letter)


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S UTC")
