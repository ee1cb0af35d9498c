"""What a trial of a recorded change takes without its check, beside a rehearsal of nothing."""

from __future__ import annotations

import itertools
import os
import sys
from typing import Any

from backout.link.local import begin, connect
from backout.link.wire import Link
from bench.contest import Contender, Contest, Place

_FEW, _MANY, _A_FOLDER = 50, 5000, 200
_EDIT = """
import os
for folder, _, names in os.walk({tree!r}):
    for name in names:
        with open(os.path.join(folder, name), "a") as file:
            file.write("edited\\n")
"""


def trial(place: Place) -> Contest:
    """Compare trials of changes of 50 and of 5,000 edited files with a rehearsal of `true`, all through one link."""
    os.environ["BACKOUT_STATE"] = place.path("state")
    link, numbers = connect(begin(), lambda *_: None), itertools.count()

    def nothing() -> None:
        change = f"nothing{next(numbers)}"
        link.ask("rehearse", change=change, argv=["true"], cwd="/", network="none")
        link.ask("let_go", change=change)

    few, many = _recorded(place, link, _FEW), _recorded(place, link, _MANY)

    def tried(change: str, chosen: range) -> None:
        link.ask("trial", change=change, chosen=list(chosen), checks=[])

    contenders = [
        Contender("a rehearsal of true", nothing),
        Contender(f"a trial of {_FEW} files", lambda: tried(few, range(_FEW))),
        Contender(f"a trial of half of {_MANY:,} files", lambda: tried(many, range(0, _MANY, 2))),
        Contender(f"a trial of {_MANY:,} files", lambda: tried(many, range(_MANY))),
    ]
    note = (
        "Through one host half that is held, as `split` holds it: what a command costs to start is in neither. "
        "The change was refused, and was read by the trial that does not count. No check is run; the view is made. "
        "Most trials of a search have half of the atoms or less."
    )
    return Contest("A trial", note, contenders)


def _recorded(place: Place, link: Link, count: int) -> str:
    """Have a change of so many edited files refused; give its id."""
    tree, change = place.fresh(f"tree{count}"), f"edit{count}"
    for number in range(count):
        folder = os.path.join(tree, f"d{number // _A_FOLDER}")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"file{number}"), "w", encoding="ascii") as file:
            file.write(f"{number}\n" * 40)
    argv = [sys.executable, "-c", _EDIT.format(tree=tree)]
    document: dict[str, Any] = link.ask("rehearse", change=change, argv=argv, cwd="/", network="none")["document"]
    expected = [None] * len(document.pop("effects"))
    judged = {**document, "expected": expected, "verdict": {"decision": "refuse", "reasons": []}}
    link.ask("refuse", change=change, body={}, document=judged)
    return change
