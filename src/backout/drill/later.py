"""The command line as it is a while later: `python …/backout/drill/later.py SECONDS -- words…`.

What asks the machine for the time is told one that is so many seconds ahead: `time.time` and `time_ns`, `gmtime` and
`localtime` of now, `datetime.now` and `date.today`. Clocks that measure how long something takes run as they do, and
what other programs write has their own times. It is the drill's, so that it can show what holds a week later; the rest
of backout knows nothing of it. It is run as a file: as a module, its package would ask for the time first.
"""

from __future__ import annotations

import datetime as dt
import runpy
import sys
import time
from collections.abc import Callable
from typing import Any, Self


def main() -> None:
    """Put the clock forward, then be the command line."""
    seconds, dashes, *words = sys.argv[1:]
    if dashes != "--":
        sys.exit("usage: python later.py SECONDS -- words…")
    put_forward(float(seconds))
    del sys.path[0]  # the drill's folder: what is in it is found by no other name than before
    sys.argv = ["backout", *words]
    runpy.run_module("backout", run_name="__main__")


def put_forward(seconds: float) -> None:
    """Let this process, and what it forks, take the time to be so much later; before anything else asks for it."""
    now, now_ns, utc, here = time.time, time.time_ns, time.gmtime, time.localtime

    def of(told: Callable[[float], Any]) -> Callable[..., Any]:
        return lambda at=None: told(now() + seconds if at is None else at)

    class Later(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Self:
            return cls.fromtimestamp(now() + seconds, tz)

        @classmethod
        def today(cls) -> Self:
            return cls.now()

    class LaterDay(dt.date):
        @classmethod
        def today(cls) -> Self:
            return cls.fromtimestamp(now() + seconds)

    vars(time).update(
        time=lambda: now() + seconds,
        time_ns=lambda: now_ns() + round(seconds * 1e9),
        gmtime=of(utc),
        localtime=of(here),
    )
    vars(dt).update(datetime=Later, date=LaterDay)


if __name__ == "__main__":
    main()
