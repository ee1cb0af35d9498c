"""What the commands of guards take on their command lines."""

from __future__ import annotations

import argparse
import re
from typing import Any


def grammar(
    verb: argparse.ArgumentParser, shared: argparse.ArgumentParser, kind: type[argparse.ArgumentParser]
) -> None:
    """Add what `guard` takes: to list guards, to add one, to replay them."""
    acts = verb.add_subparsers(dest="act", metavar="ACTION", required=True, parser_class=kind)
    replaying = "replay guards over every recorded change: what each would have refused, and how much of it did harm"
    for act, text, more in (
        ("list", "every guard of backout.toml, and what is wrong with it", lambda _: None),
        ("add", "append a guard to backout.toml; all that is there stays as it is", _add),
        ("test", replaying, _test),
    ):
        inner = acts.add_parser(act, parents=[shared], help=text, description=f"{text[:1].upper()}{text[1:]}.")
        more(inner)


def _add(verb: argparse.ArgumentParser) -> None:
    verb.usage = f"{verb.prog} RULE --why TEXT [options]"
    rules = "checked, command, expected-only, forbid, max-effects, max-jump, no-open-incident, pinned, reversible"
    verb.add_argument("rule", metavar="RULE", help=f"the rule: {rules}, staged-first or window")
    verb.add_argument("--why", metavar="TEXT", required=True, help="why it is there")
    many = {"action": "append", "default": []}
    options: list[tuple[str, str, str, dict[str, Any]]] = [
        ("--name", "NAME", "its name (default: the rule's)", {}),
        ("--environment", "ENV", "an environment that it is about (default: all)", {**many, "dest": "environments"}),
        ("--says", "TEXT", "what it means, in one sentence that a client understands", {}),
        ("--owner", "WHO", "who answers for it", {}),
        ("--review-by", "DATE", "the day by which somebody looks whether it is still right, such as 2027-03-01", {}),
        ("--incident", "ID", "the incident that it comes from", {}),
        ("--what", "KIND:GLOB", "effects that it is about", many),
        ("--most", "KIND=N", "so many effects of a kind at most; * is all kinds together", {**many, "type": limit}),
        ("--requirements", "PATH", "a requirements file that it looks at", many),
        ("--hours", "TIMES", "when a change may be made, such as 09:00-17:00", {}),
        ("--days", "DAY", "a day on which it may be made, such as mon", many),
        ("--zone", "ZONE", "the time zone of hours and days, such as Europe/Berlin", {}),
        ("--run", "CMD", "the command that judges", {}),
        ("--within", "TIME", "how long that may take", {}),
    ]
    for option, value, text, settings in options:
        verb.add_argument(option, metavar=value, help=text, **settings)
    verb.add_argument("--override-allowed", action="store_true", help="let --override pass it")


def _test(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("names", nargs="*", metavar="NAME", help="a guard, or with --proofs what proves (default: all)")
    verb.add_argument("-e", "--environment", metavar="ENV", help="only changes of this environment (default: all)")
    text = "try what proved in reviews once more, with the guards of today; exits 3 when one does not hold any more"
    verb.add_argument("--proofs", action="store_true", help=text)


def limit(text: str) -> tuple[str, int]:
    """Read KIND=N: a number, 0 or more, for a kind of effects."""
    kind, _, number = text.rpartition("=")
    if not kind or not re.fullmatch(r"[0-9]{1,6}", number):
        message = f"{text!r} is not KIND=N such as python-package=5"
        raise argparse.ArgumentTypeError(message)
    return kind, int(number)
