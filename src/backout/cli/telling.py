"""What `backout tell` takes on its command line."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

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
        help="since when all is well: 21:40, or 2026-11-28 21:40 (default: as the record tells it)",
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
    """Read a time as `note --at` does, such as 21:40 (the last one) or 2026-11-28 21:40 UTC, as seconds since 1970.

    What is still to come is none, and neither is what was there twice or never: a client reads it without its doubt.
    """
    from backout.render.moment import moment as read  # where one is given alone

    now = time.time()
    try:
        at, doubt = read(text, now)
    except (ValueError, OSError):
        message = f"{text!r} is not a time such as 21:40 or 2026-11-28 21:40"
        raise argparse.ArgumentTypeError(message) from None
    if doubt:
        message = f"{text!r} was there twice, or never, when the clocks were changed: write its zone, as in +01:00"
        raise argparse.ArgumentTypeError(message)
    if at > now:
        raise argparse.ArgumentTypeError(f"{text!r} is still to come")
    return at
