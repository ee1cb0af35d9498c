"""What the commands of a review take on their command lines."""

from __future__ import annotations

import argparse

_INCIDENT = "the incident (default: the one that was opened last)"


def grammar(
    verb: argparse.ArgumentParser, shared: argparse.ArgumentParser, kind: type[argparse.ArgumentParser]
) -> None:
    """Add what `review` takes: by itself it is edited; what proves, to prove it, and to close it are actions."""
    verb.usage = f"{verb.prog} [--incident ID] [--print | --from FILE | ACTION]"
    verb.add_argument("--incident", metavar="ID", help=_INCIDENT)
    ways = verb.add_mutually_exclusive_group()
    ways.add_argument("--print", action="store_true", help="write the file on standard output instead; at any time")
    ways.add_argument("--from", dest="file", metavar="FILE", help="take this file in, as if it had been edited")
    acts = verb.add_subparsers(dest="act", metavar="ACTION", required=False, parser_class=kind)
    for act, text, more in (
        ("guard", "what would have refused the change that led to it, ranked by what it would have cost", _guard),
        ("prove", "try what its actions stand on (guards, checks, commands), and record what came of it", _prove),
        ("close", "close it: every action is proven, accepted by somebody until a day, or handed over", _named),
    ):
        inner = acts.add_parser(act, parents=[shared], help=text, description=f"{text[:1].upper()}{text[1:]}.")
        more(inner)


def _guard(verb: argparse.ArgumentParser) -> None:
    """Add what `review guard` takes."""
    _between(verb)
    verb.add_argument("--add", type=int, metavar="N", help="write candidate N to backout.toml, and record the proof")


def _prove(verb: argparse.ArgumentParser) -> None:
    """Add what `review prove` takes."""
    text = "a guard, check or command of backout.toml (default: what the actions of the review name)"
    verb.add_argument("names", nargs="*", metavar="NAME", help=text)
    _between(verb)


def _named(verb: argparse.ArgumentParser) -> None:
    """Take the incident here as before the action: what is not given here does not hide what was given there."""
    verb.add_argument("--incident", metavar="ID", default=argparse.SUPPRESS, help=_INCIDENT)


def _between(verb: argparse.ArgumentParser) -> None:
    """Take what a proof is held between."""
    _named(verb)
    verb.add_argument("--bad", metavar="ID", help="the change that led to it (default: as the record tells)")
    verb.add_argument("--good", metavar="ID", help="a change that must go through (default: the rest of the bad one)")
