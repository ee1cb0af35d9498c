"""The whole drill, from an empty folder to the table, leaving nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from backout.drill.acts import Stage, Teller, bare_way, forced, learned, refused, split, write_config
from backout.drill.change import change_for
from backout.drill.claims import Act
from backout.drill.mailbox import Mailbox
from backout.drill.progress import teller_on
from backout.drill.python import choose_interpreter
from backout.drill.report import Outcome, document, page, table
from backout.drill.shop import Shop
from backout.drill.world import PRODUCTION, World, lay_out, make_folder
from backout.errors import InterruptedError as UserInterruptedError

CLI = (sys.executable, "-m", "backout")
"""How the command line is called: as a process, as a person would."""


def main(
    *,
    keep: bool = False,
    live: bool = False,
    folder: str | None = None,
    json: bool = False,
    cli: tuple[str, ...] = CLI,
) -> int:
    """Play the drill; 0 when the story came true, 1 with a sentence when it did not.

    `keep` leaves the folder for a look afterwards, `live` lets pip take what its index serves today, `folder` must be
    new or empty, `json` prints one document instead of the table. Raises NotPossibleError and FailedError when it could
    not be played to its end, InterruptedError (130) when it was interrupted; folder and processes are gone then.
    """
    with teller_on(sys.stderr) as teller:
        outcome = _play(keep=keep, live=live, folder=folder, cli=cli, teller=teller)
    if json:
        from json import dumps

        sys.stdout.write(dumps(document(outcome), indent=2) + "\n")
    else:
        sys.stdout.write(table(outcome) + "\n")
    return 0 if outcome.came_true else 1


def _play(*, keep: bool, live: bool, folder: str | None, cli: tuple[str, ...], teller: Teller) -> Outcome:
    begun = time.monotonic()
    python = choose_interpreter()
    with _interruptible(), _folder(folder, keep=keep) as path, Mailbox() as mailbox:
        world = World(path, python, live)
        stage = Stage(world, cli, teller, mailbox)
        acts = tuple(_acts(stage))
        return Outcome(
            tool=change_for(world, world.path(PRODUCTION)).tool,
            python=str(python),
            live=live,
            acts=acts,
            seconds=time.monotonic() - begun,
            page=_write_page(acts),
            folder=world.folder if keep else None,
        )


def _acts(stage: Stage) -> Iterator[Act]:
    """Play the acts, up to the first in which a claim did not come true."""
    python = stage.world.python
    stage.teller.act("The stage: a production with the packages of the story")
    if not python.as_in_the_story:
        stage.teller.saw(f"{python} cannot import setuptools 65.5.0: 68.2.2 stands in for it")
    stage.teller.doing("building production's virtualenv, each package verified")
    if lay_out(stage.world):
        stage.teller.saw("packages fetched, and kept for the next time")
    act = bare_way(stage)
    yield act
    with Shop(stage.world.path(PRODUCTION)) as shop:
        write_config(stage, shop)
        for play in (refused, forced):
            if act.untrue:
                return
            act = play(stage, shop)
            yield act
        if act.change and not act.untrue:
            act = split(stage, shop, act.change)
            yield act
            if not act.untrue:
                yield learned(stage, shop)


def _write_page(acts: tuple[Act, ...]) -> str:
    """Write the page where people find it after the folder is gone: one file, of the newest drill."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    folder = os.path.join(state, "backout")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, "drill.html")
    with open(path, "w", encoding="utf-8") as file:
        file.write(page(acts))
    return path


@contextmanager
def _folder(chosen: str | None, *, keep: bool) -> Iterator[str]:
    """Make the drill's folder, and remove it at the end, however it ends; a second Ctrl-C cannot leave half of it."""
    folder = make_folder(chosen)
    try:
        yield folder
    finally:
        if not keep:
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)
            shutil.rmtree(folder)
            signal.signal(signal.SIGINT, before)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Take SIGTERM as Ctrl-C, and turn both into the error that says how things stand."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        raise UserInterruptedError(
            "The drill was interrupted.", state="Its processes were ended. Nothing outside its folder was changed."
        ) from None
    finally:
        signal.signal(signal.SIGTERM, before)
