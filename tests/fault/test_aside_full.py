"""A disk that is really full: a note is kept all the same, and is in the journal as soon as there is room."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from backout import bootstrap
from backout.flow import incidents
from kit.bench import on_own_disk

SIZE_KIB = 512


def fill(disk: Path) -> None:
    """Leave no byte."""
    with (disk / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def test_on_a_full_disk_notes_go_to_another_one_and_come_back(tmp_path: Path) -> None:
    """The disk that is full is often why there is an incident."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)

    def inside() -> None:
        disk = tmp_path / "disk"
        environ = {"XDG_STATE_HOME": str(disk), "XDG_RUNTIME_DIR": str(runtime)}
        whole = bootstrap.keeping_journal(environ)
        incident = incidents.declare(whole, "ada", lambda: "1", "production")
        whole.close()
        fill(disk)
        journal = bootstrap.keeping_journal(environ)
        for number in range(20):
            incidents.record(journal, "ada", incidents.current(journal), "note", f"{number} " + "x" * 500)
        journal.close()
        assert "cannot be used" in journal.complaints[0], journal.complaints
        assert list(runtime.glob("*.aside")), journal.complaints
        assert len(incidents.read(bootstrap.keeping_journal(environ))[incident].entries) == 20
        (disk / "ballast").unlink()
        mended = bootstrap.journal(environ)
        told = [entry.text.split()[0] for entry in incidents.read(mended)[incident].entries]
        assert told == list(map(str, range(20)))
        assert not list(runtime.glob("*.aside"))

    on_own_disk(tmp_path / "disk", SIZE_KIB, inside)


def test_a_note_on_a_full_disk_where_there_was_no_journal_yet(tmp_path: Path) -> None:
    """The first command of a new user, at the worst of times."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)

    def inside() -> None:
        fill(tmp_path / "disk")
        environ = {"XDG_STATE_HOME": str(tmp_path / "disk"), "XDG_RUNTIME_DIR": str(runtime), "PATH": os.defpath}
        environ |= {"PYTHONPATH": os.pathsep.join(sys.path), "LOGNAME": "ada"}
        argv = [sys.executable, "-m", "backout", "note", "it is full"]
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "aside  by itself: no incident is open\n"), done
        assert str(runtime) in done.stderr
        (tmp_path / "disk" / "ballast").unlink()
        assert [event.body["text"] for event in bootstrap.journal(environ).events()] == ["it is full"]

    on_own_disk(tmp_path / "disk", SIZE_KIB, inside)


def test_what_was_acknowledged_survives_a_kill_at_any_time(tmp_path: Path) -> None:
    """Twenty notes are taken one after the other, and whoever takes them is killed meanwhile."""
    script = (
        "from backout import bootstrap\nfrom backout.flow import incidents\njournal = bootstrap.keeping_journal()\n"
        "for number in range(10_000):\n"
        "    incidents.record(journal, 'ada', None, 'note', str(number)); print(number, flush=True)\n"
    )
    environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    said: list[str] = []
    with subprocess.Popen([sys.executable, "-c", script], env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said += [process.stdout.readline() for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    journal = bootstrap.journal(environ)
    journal.verify()
    kept = [event.body["text"] for event in journal.events()]
    acknowledged = [line.strip() for line in said if line.endswith("\n")]
    assert kept[: len(acknowledged)] == acknowledged
    assert len(kept) - len(acknowledged) in (0, 1)
