"""The drill, played for real: it is the proof that the story cannot happen any more, so it must itself be proven."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from glob import glob
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jsonschema
import pytest

from backout.drill.load import Load, answers
from backout.drill.process import run
from backout.drill.python import choose_interpreter
from backout.drill.shop import free_port
from backout.drill.wheels import Wheels
from backout.errors import FailedError, NotPossibleError
from backout.render.schemas import schema

DRILL = [sys.executable, "-m", "backout", "--json", "drill"]
WHEEL = "click-8.1.3-py3-none-any.whl"
LOCK = "click==8.1.3 --hash=sha256:bb4d8133cb15a609f44e8213d9b391b0809795062913b383c62be0ee95b1db48\n"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A drill that keeps its folder and its page in the test's own; fetched wheels may stay where they always do."""
    (tmp_path / "folders").mkdir()
    own = {"TMPDIR": str(tmp_path / "folders"), "XDG_STATE_HOME": str(tmp_path / "state")}
    return {**os.environ, **own}


def left_behind(tmp_path: Path) -> list[str]:
    """The processes that were started with the test's folder in mind, and the folders that a drill left there."""
    processes = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                command, environ = ((entry / name).read_bytes() for name in ("cmdline", "environ"))
            except OSError:
                continue
            processes += [f"{entry.name} {command!r}"] if os.fsencode(tmp_path / "folders") in command + environ else []
    return processes + os.listdir(tmp_path / "folders")


def test_the_story_comes_true_and_ends_well(environ: dict[str, str], tmp_path: Path) -> None:
    """The site goes down the bare way, not through backout; it comes back by itself, split finds why, it stays away."""
    done = run(DRILL, environ, within_s=900)
    assert done.exit_code == 0, done.output + done.errors
    document = json.loads(done.output)
    jsonschema.validate(document, schema("backout.drill/1"))
    bare, refused, forced, split, learned = document["acts"]
    assert [refused["exit_code"], forced["exit_code"], split["exit_code"], learned["exit_code"]] == [3, 4, 0, 3]
    assert [(act["failed"], act["downtime_s"]) for act in (refused, split, learned)] == [(0, 0)] * 3
    assert bare["failed"] > 0
    assert forced["failed"] > 0
    assert any(":setuptools 65.5.0 -> 84." in surprise for surprise in refused["surprises"])
    (part,) = split["parts"]
    assert part.startswith("python-package:")
    assert ":setuptools 65.5.0 -> 84." in part
    assert "Data lost: none" in forced["letter"]
    assert "Can it happen again: No: setuptools" in learned["letter"]
    assert all(claim["holds"] for act in document["acts"] for claim in act["claims"])
    assert Path(document["page"]).read_text().lower().startswith("<!doctype html>")
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "there"),
    [
        (signal.SIGINT, "*/run/gunicorn.pid"),
        (signal.SIGTERM, "*/run/gunicorn.pid"),
        (signal.SIGINT, "backout/host/stage/*/*"),
    ],
    ids=["Ctrl-C in act 1", "ended in act 1", "Ctrl-C in a rehearsal"],
)
def test_an_interrupted_drill_leaves_nothing_behind(
    environ: dict[str, str], tmp_path: Path, number: signal.Signals, there: str
) -> None:
    """Who stops it in the middle must not find a web server running on the machine tomorrow."""
    with subprocess.Popen(DRILL, env=environ, stdout=subprocess.PIPE, text=True, process_group=0) as process:
        try:
            while not glob(f"{tmp_path}/folders/*/{there}"):  # of the module: pathlib's trips over a folder that goes
                assert process.poll() is None
                time.sleep(0.05)
        finally:
            process.send_signal(number)
        output, _ = process.communicate()
    assert process.returncode == 130
    assert json.loads(output)["exit_code"] == 130
    assert left_behind(tmp_path) == []


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """A server that answers every request well."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


def test_the_trickle_counts_the_requests_that_a_site_that_went_away_did_not_answer(server: ThreadingHTTPServer) -> None:
    """All numbers of the drill come from here."""
    with Load(server.server_port) as load:
        load.until_answers(5, 10)
        load.note("gone")
        server.shutdown()
        server.server_close()
        assert load.until_fails(5, 10)
    seen = load.seen()
    gone_s = seen.events[0][0]
    assert seen.failed >= 5
    assert seen.downtime_s > 0
    assert all(sample.ok for sample in seen.samples if sample.at_s + sample.latency_s < gone_s)


def test_waiting_for_a_site_that_stays_down_ends_with_a_sentence() -> None:
    """A drill that waits for ever is worse than one that fails."""
    with Load(free_port()) as load, pytest.raises(FailedError, match="did not answer again"):
        load.until_answers(1, 0.3)


def test_a_server_error_is_no_answer() -> None:
    """A site that only says 500 is down for its clients."""

    class Fails(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(500)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Fails) as listening:
        thread = threading.Thread(target=listening.handle_request)
        thread.start()
        assert not answers(listening.server_port)
        thread.join()


def test_a_wheel_that_is_not_the_locked_one_is_not_used(tmp_path: Path) -> None:
    """Whoever can write to the cache must not get code into a drill, which may run as root."""
    subprocess.run([choose_interpreter().path, "-m", "venv", tmp_path / "venv"], check=True)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / WHEEL).write_bytes(b"something else")
    (tmp_path / "lock.txt").write_text(LOCK)
    nowhere = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PIP_NO_INDEX": "1"}
    wheels = Wheels(str(tmp_path / "index"), str(tmp_path / "cache"), nowhere, nowhere)
    with pytest.raises(NotPossibleError, match="could not be fetched"):
        wheels.collect(str(tmp_path / "venv/bin/python"), str(tmp_path / "lock.txt"))
    assert not (tmp_path / "index" / WHEEL).exists()
