"""What `backout tell` takes on its command line."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from backout.model.notice import STATUSES

FIELDS = ("seen", "changed", "remedy", "lost", "since")
"""The options that are fields of a notice."""


def grammar(verb: argparse.ArgumentParser, duration: Callable[[str], float]) -> None:
    """Add what it takes."""
    verb.usage = f"{verb.prog} [options] [AUDIENCE…] [TEXT…]"
    verb.set_defaults(takes_words=True, takes_command=True)
    verb.add_argument(
        "words",
        nargs="*",
        metavar="TEXT",
        help="audiences (default: all), then what changed; after -- all of it is text",
    )
    verb.add_argument("-e", "--environment", metavar="ENV", help="the incident that is open there")
    verb.add_argument("--incident", metavar="ID", help="the incident (default: the one that was opened last)")
    verb.add_argument("--status", choices=STATUSES, help="the public status (default: as the record tells it)")
    options: list[tuple[str, str, str]] = [
        ("--seen", "TEXT", "what is seen from outside, in the first word (default: the text of panic)"),
        ("--changed", "TEXT", "what changed since the last word"),
        ("--remedy", "TEXT", "how far the remedy is"),
        ("--lost", "TEXT", "which data were lost, or none, once it is resolved"),
    ]
    for option, value, text in options:
        verb.add_argument(option, metavar=value, help=text)
    verb.add_argument(
        "--since",
        type=moment,
        metavar="TIME",
        help="since when all is well: 21:40, or 2026-11-28T21:40 (default: as the record tells it)",
    )
    verb.add_argument(
        "--next", type=duration, metavar="TIME", help="when the next word comes (default: as its audience has it)"
    )
    verb.add_argument("--yes", "-y", action="store_true", help="send without being asked")
    verb.add_argument("--dry-run", action="store_true", help="only show what would be sent")
    verb.add_argument("--letter", action="store_true", help="send the letters that calm drafted")
    acts = verb.add_mutually_exclusive_group()
    acts.add_argument("--retry", action="store_true", help="send what failed and is due once more")
    acts.add_argument("--sent", type=int, metavar="ID", help="a delivery that nobody knows about is there")
    acts.add_argument("--again", type=int, metavar="ID", help="send a delivery that did not arrive once more")


def moment(text: str) -> float:
    """Read a time of this machine's zone, such as 21:40 (the last one) or 2026-11-28T21:40, as seconds since 1970."""
    now = datetime.fromtimestamp(time.time()).astimezone()
    try:
        if re.fullmatch(r"[0-9]{1,2}:[0-9]{2}", text):
            at = datetime.combine(now.date(), datetime.strptime(text, "%H:%M").time())  # noqa: DTZ007 - a time of day
            at = at if at.astimezone() <= now else at - timedelta(days=1)
        else:
            at = datetime.fromisoformat(text)
        return at.timestamp()
    except (ValueError, OverflowError, OSError):
        message = f"{text!r} is not a time such as 21:40 or 2026-11-28T21:40"
        raise argparse.ArgumentTypeError(message) from None
