"""What the commands of an incident take on their command lines."""

from __future__ import annotations

import argparse
from datetime import date

FORMS = ("md", "html", "json", "svg", "public", "script")
"""What an incident can be written as."""


ON_A_HOST = "on this host, or that of this environment, over ssh"


def note_grammar(verb: argparse.ArgumentParser) -> None:
    """Describe what `note` takes, for --help and the reference: it reads its words by itself (backout.cli.note)."""
    verb.usage = f"{verb.prog} [options] TEXT…"
    verb.add_argument("text", nargs="*", metavar="TEXT", help="what is to be noted (default: standard input)")
    meaning = "the environment whose open incident is meant (default: the one opened last)"
    verb.add_argument("-e", "--environment", metavar="ENV", help=meaning)
    for option, value, text in (
        ("--incident", "ID", "the incident that is meant, open or not"),
        ("--at", "TIME", 'when it happened: 14:03, "10m ago", "2026-11-28 14:03", also with a zone (default: now)'),
        ("--of", "N", "the hypothesis that is ruled out or confirmed (default: the one that the text fits best)"),
        ("--correct", "N", "TEXT is what entry N should say; what it said stays readable"),
        ("--pin", "N", "pin entry N"),
        ("--unpin", "N", "pin entry N no longer"),
        ("--clock", "NAME[=TIME]", "set a clock: impact_started, detected, mitigated … (default: to now)"),
        ("--severity", "N", "1: clients are down, 2: clients notice, 3: nobody outside notices"),
    ):
        verb.add_argument(option, metavar=value, help=text)


def do_grammar(verb: argparse.ArgumentParser) -> None:
    """Add what `do` takes."""
    verb.usage = f"{verb.prog} [options] -- CMD…"
    verb.add_argument("-e", "--environment", dest="on", metavar="ENV|HOST", help=ON_A_HOST)
    verb.add_argument("--as", dest="way", metavar="NAME", default="", help="what it is as a way out, for the next time")
    verb.add_argument("--incident", metavar="ID", help="the incident that it belongs to (default: the open one)")
    verb.set_defaults(takes_command=True)


def shell_grammar(verb: argparse.ArgumentParser) -> None:
    """Add what `shell` takes."""
    verb.add_argument("-e", "--environment", dest="on", metavar="ENV|HOST", help=ON_A_HOST)
    verb.add_argument("--incident", metavar="ID", help="the incident that they belong to (default: the open one)")


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
