"""What people do when the dust has settled: a guard that is proven, the review, and the second letter."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from backout.drill import claims
from backout.drill.claims import Claim
from backout.drill.mailbox import Mailbox
from backout.drill.process import must
from backout.drill.world import World

NEXT_MORNING_S, A_WEEK_S = 14 * 3600.0, 7 * 86400.0
"""How much later the review is written, and the change is made once more."""
_PATHS = """## Paths

### P1 led: a change of one setting re-resolved every package
entries: #{entry}

"""
_ACTIONS = """## Actions

### A1 Refuse a change that moves setuptools across a major version
- owner: Anna
- due: {due}
- kind: prevent
- closes: P1
- proof: guard {guard}
"""


class Learned(NamedTuple):
    """What came of it: its claims, the name of the guard, and the second letter as the client has it."""

    claims: tuple[Claim, ...]
    guard: str
    letter: str


def later(seconds: float) -> tuple[str, ...]:
    """Give how the command line is called so many seconds from now."""
    return (sys.executable, os.path.join(os.path.dirname(__file__), "later.py"), str(seconds), "--")


def learn(world: World, mailbox: Mailbox, doing: Callable[[str], None]) -> Learned:
    """Have a guard proposed and proven, write the review and close it, and send the letter: each with a command."""
    config, morning = os.path.join(world.folder, "backout.toml"), later(NEXT_MORNING_S)

    def backout(*words: str) -> str:
        doing(f"backout {' '.join(words)}")
        return must([*morning, words[0], "--config", config, *words[1:]], world.environ()).output

    proposed: dict[str, Any] = json.loads(backout("review", "guard", "--add", "1", "--json"))
    guard = proposed["candidates"][0]["name"]
    file = os.path.join(world.folder, "review.md")
    with open(file, "w", encoding="utf-8") as opened:
        opened.write(_written(backout("review", "--print"), guard))
    backout("review", "--from", file)
    closed: dict[str, Any] = json.loads(backout("review", "close", "--json"))
    before = len(mailbox.mails)
    backout("tell", "--letter", "--yes")
    letter = "".join(mail.text for mail in mailbox.mails[before:])
    return Learned(claims.of_the_review(proposed, closed, letter), guard, letter)


def _written(printed: str, guard: str) -> str:
    """Write the review into the file as backout prints it: what led to it, and what is done about it."""
    due = (datetime.now(UTC) + timedelta(days=15)).date().isoformat()
    decided = re.search(r"#(\d+) .*the change was taken back", printed)
    paths = _PATHS.format(entry=decided[1] if decided else "")
    head, _, _ = printed.rpartition("## Paths")
    return head + paths + _ACTIONS.format(due=due, guard=guard)
