"""`python -m backout.drill`: what `backout drill` becomes. The command line and the drill do not import each other."""

from __future__ import annotations

import argparse
import json
import os
import sys

from backout.drill.story import main
from backout.errors import BackoutError
from backout.render.error import render_error
from backout.render.screen import screen_of


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="backout drill")
    parser.add_argument("--keep", action="store_true", help="keep the drill's folder")
    parser.add_argument("--live", action="store_true", help="take whatever the package index serves today")
    parser.add_argument("--folder", metavar="DIR", help="where to play (default: a temporary folder)")
    parser.add_argument("--json", action="store_true", help="one document on stdout, nothing else there")
    return parser.parse_args()


def _play(options: argparse.Namespace) -> int:
    """Play; an error is told, never shown as a traceback."""
    try:
        return main(keep=options.keep, live=options.live, folder=options.folder, json=options.json)
    except BackoutError as error:
        if options.json:
            sys.stdout.write(json.dumps(error.document()) + "\n")
        else:
            sys.stderr.write(render_error(error.document(), screen_of(sys.stderr, os.environ)))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(_play(_options()))
