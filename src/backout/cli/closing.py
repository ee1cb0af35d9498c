"""What `backout export` takes on its command line."""

from __future__ import annotations

import argparse

FORMS = ("md", "html", "json", "svg", "public", "script")
"""What an incident can be written as."""


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
