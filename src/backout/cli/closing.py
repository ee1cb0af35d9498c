"""What `backout calm` and `backout export` take on their command lines."""

from __future__ import annotations

import argparse
from datetime import date

FORMS = ("md", "html", "json", "svg", "public", "script")
"""What an incident can be written as."""


def calm_grammar(verb: argparse.ArgumentParser) -> None:
    """Add what `calm` takes."""
    verb.add_argument("-e", "--environment", metavar="ENV", help="the incident that is open there")
    verb.add_argument("--incident", metavar="ID", help="the incident (default: the one that was opened last)")
    verb.add_argument("--word", metavar="TEXT", help="it is over, whatever the checks say, and why you say so")
    options: list[tuple[str, str]] = [
        ("--why", "why it happened, for the letter"),
        ("--done", "what was done"),
        ("--lost", "which data were lost, or none"),
        ("--again", "whether it can happen again (default: not known yet, and when that is reviewed)"),
    ]
    for option, text in options:
        verb.add_argument(option, metavar="TEXT", help=text)
    verb.add_argument(
        "--review",
        type=day,
        metavar="DATE",
        help="the day of the review, such as 2026-12-01 (default: next working day)",
    )


def day(text: str) -> date:
    """Read a day such as 2026-12-01."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is not a day such as 2026-12-01"
        raise argparse.ArgumentTypeError(message) from None


def export_grammar(verb: argparse.ArgumentParser) -> None:
    """Add what `export` takes."""
    verb.add_argument("incident", nargs="?", metavar="INCIDENT", help="the incident (default: the newest)")
    verb.add_argument(
        "--as",
        dest="form",
        choices=FORMS,
        help="Markdown (the default), one HTML page, JSON, the timeline as a picture, a text without internals, "
        "or the commands as a shell script",
    )
    verb.add_argument("-o", "--output", metavar="FILE", help="write to this file (default: standard output)")
    verb.add_argument("--force", action="store_true", help="replace the file")
    verb.add_argument("--utc", action="store_true", help="times in UTC (default: this machine's zone)")
    verb.add_argument("--list", action="store_true", help="list the incidents on record instead")
