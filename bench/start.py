"""What it takes to begin: a rehearsal of nothing, and a version."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from backout import bootstrap
from backout.flow import incidents
from backout.store.journal import Line
from backout.store.opening import journal_path
from backout.store.sqlite import SqliteJournal
from bench.contest import Contender, Contest, Place

_FLOOR = """
mount -t tmpfs none /mnt
mkdir /mnt/up /mnt/work /mnt/merged
mount -t overlay -o lowerdir=/,upperdir=/mnt/up,workdir=/mnt/work overlay /mnt/merged
chroot /mnt/merged true
"""


def noop(place: Place) -> Contest:
    """Compare a rehearsal of `true` with the peer's, and with the least that any of them has to do."""
    contenders = [
        Contender("backout rehearse --network none -- true", lambda: place.backout(*_REHEARSE, "none", "--", "true")),
        Contender("backout rehearse -- true", lambda: place.backout(*_REHEARSE, "packages", "--", "true")),
    ]
    if place.peer:
        contenders.append(Contender("try -n true", lambda: _try(place, str(place.peer))))
    contenders += [
        Contender("unshare, mount, overlay, chroot by hand", lambda: place.must("unshare", "-m", "sh", "-ec", _FLOOR)),
        Contender("python3 -I -S -c pass, twice", lambda: _python(place, "-I", "-S", times=2)),
    ]
    note = (
        "backout is one interpreter that forks (command line, host half) and imports most of the time. "
        "`try -n` runs the command in an overlay of every top-level directory and keeps the result; "
        "it has no own network, no record and no meaning of effects."
    )
    return Contest("A rehearsal of nothing", note, contenders)


_REHEARSE = ("rehearse", "--network")


def _try(place: Place, peer: str) -> None:
    place.must("sh", peer, "-n", "true", environ={**place.environ, "SHELL": "/bin/sh"})
    for name in os.listdir(place.path("tmp")):
        shutil.rmtree(place.path("tmp", name), ignore_errors=True)


def _python(place: Place, *options: str, times: int = 1) -> None:
    for _ in range(times):
        place.must(os.path.realpath(sys.executable), *options, "-c", "pass")


def version(place: Place) -> Contest:
    """Compare `backout --version` with an interpreter that does nothing."""
    contenders = [
        Contender("backout --version", lambda: place.backout("--version")),
        Contender("python3 -I -c pass", lambda: _python(place, "-I")),
    ]
    return Contest("The version", "What every command pays before it does anything.", contenders)


_MANY = 10_000


def note(place: Place) -> Contest:
    """Compare a note with an interpreter that does nothing: in a new incident, and in one with many notes."""
    new, many = place.fresh("new"), place.fresh("many")
    for folder, count in ((new, 1), (many, _MANY)):
        with SqliteJournal(journal_path({"XDG_STATE_HOME": folder})) as journal:
            incident = incidents.declare(journal, "ada", bootstrap.new_change_id, "production")
            journal.take_in(_notes(incident, count))
    contenders = [
        Contender("python3 -I -c pass", lambda: place.must(sys.executable, "-I", "-c", "pass")),
        Contender("backout note", lambda: _note(place, new)),
        Contender(f"backout note, in an incident with {_MANY:,} notes", lambda: _note(place, many)),
    ]
    text = (
        "It must feel instant: at most 5 times an interpreter that does nothing, the same one. "
        f"Each note is durable when it returns. Load of the machine: {os.getloadavg()[0]:.1f} before."
    )
    return Contest("A note", text, contenders)


def _notes(incident: str, count: int) -> list[Line]:
    text = "note {}: web1 answers 502, the log of the shop says: connection refused by db1:5432"
    bodies = [{"incident": incident, "kind": "note", "text": text.format(number)} for number in range(count)]
    return [Line(f"n{at}", time.time(), time.time(), "ada", "entry", body) for at, body in enumerate(bodies)]


def _note(place: Place, state: str) -> None:
    program = Path(sys.executable).parent / "backout"
    words = ("note", "web1 answers 502 since the deploy of 14:03")
    place.must(str(program), *words, environ={**place.environ, "XDG_STATE_HOME": state})
