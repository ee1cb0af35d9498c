"""Checks with real commands, real HTTP and real processes."""

from __future__ import annotations

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backout.host.checks import KEPT_BYTES, judge_control, run_checks
from backout.model.check import AFTER, BEFORE, HEALTHY, NOT_RUN, REHEARSAL, UNHEALTHY, Check, CheckResult

ENV = {"PATH": os.environ["PATH"]}
LONG_S = 1000.0


def check(where: str = AFTER, env: dict[str, str] | None = None, **words: Any) -> CheckResult:
    """Run one check; tried once, unless `within_s` says otherwise."""
    return run_checks([Check("it", **{"within_s": 0.0, **words})], where, env or ENV)[0]


def free_port() -> int:
    """Find a port on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def site() -> Iterator[str]:
    """A web server that answers with the status in its path."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path.rpartition("/")[2]))
            self.send_header("Location", "/500")
            self.end_headers()
            self.wfile.write(b"<html>" * 1000 + b"the page: password=hunter2")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_command_is_healthy_when_it_exits_with_0() -> None:
    """The whole contract of a `run` check."""
    assert check(run="echo fine") == CheckResult("it", AFTER, HEALTHY, "fine\n")
    assert check(BEFORE, run="echo broken >&2; exit 7") == CheckResult(
        "it", BEFORE, UNHEALTHY, "Exit code 7.\nbroken\n"
    )


@pytest.mark.parametrize(
    ("status", "result"), [(200, HEALTHY), (204, HEALTHY), (302, HEALTHY), (404, UNHEALTHY), (500, UNHEALTHY)]
)
def test_a_page_is_healthy_with_2xx_and_3xx(site: str, status: int, result: str) -> None:
    """A redirection to a login page is an answer; following it might leave this host."""
    told = check(http=f"{site}/{status}")
    assert (told.result, told.output[:4]) == (result, f"{status} ")


def test_no_proxy_is_asked_about_health(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that answers for a dead application, or is dead itself, tells nothing about it (traps D3)."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert check(http=f"{site}/200", env={**ENV, "http_proxy": "http://127.0.0.1:1"}).result == HEALTHY


def test_nothing_there_is_unhealthy_with_the_reason() -> None:
    """Never a traceback, whatever the URL is."""
    assert "Connection refused" in check(http=f"http://127.0.0.1:{free_port()}/").output
    for url in ("http://[::1", "nonsense", "http://127.0.0.1:x/", "http:///"):
        assert check(http=url).result == UNHEALTHY


def test_it_may_take_a_while_to_become_healthy(tmp_path: Path) -> None:
    """An application that needs five seconds to start is not broken."""
    assert check(run=f"mkdir {tmp_path}/second && exit 1; true", within_s=LONG_S).result == HEALTHY


def test_a_command_that_hangs_is_unhealthy_when_its_time_is_over() -> None:
    """A check that hangs must not hang the rescue."""
    result = check(run="echo begun; sleep 1000", within_s=1.0)
    assert result.result == UNHEALTHY
    assert result.output == "No end within 1.0 s.\nbegun\n"


def test_a_last_try_that_is_cut_short_does_not_hide_what_was_said_before(tmp_path: Path) -> None:
    """It is what is told, and what `split` knows a failure by: it must not depend on when the time is over."""
    second = f"test -e {tmp_path}/tried && exec sleep 1000; touch {tmp_path}/tried"
    assert check(run=f"{second}; echo broken; exit 7", within_s=2.0).output == "Exit code 7.\nbroken\n"


def test_output_is_bounded_and_secrets_are_masked(site: str) -> None:
    """Output goes into reports and the journal."""
    long = check(run="yes | head -c 100000; echo the end")
    assert len(long.output) == KEPT_BYTES
    assert long.output.endswith("the end\n")
    failed = check(run="yes | head -c 100000; echo the end; exit 3")
    assert len(failed.output) == KEPT_BYTES
    assert failed.output.startswith("Exit code 3.\n")
    assert "hunter2" not in check(run="echo API_TOKEN=hunter2").output + check(http=f"{site}/500").output


def test_nothing_that_a_check_starts_survives_it(tmp_path: Path) -> None:
    """A check that left a server behind would be a change, and the next check would ask the wrong one."""
    pids = tmp_path / "pids"
    check(
        run=f"sleep 1000 & echo $! >>{pids}; setsid sh -c 'echo $$ >>{pids}; sleep 1000' & "
        f"until [ $(wc -l <{pids}) = 2 ]; do sleep 0.01; done",
        within_s=LONG_S,
    )
    found = [int(line) for line in pids.read_text().split()]
    assert len(found) == 2
    assert not any(is_running(pid) for pid in found)


def is_running(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_interrupt_ends_what_was_started(tmp_path: Path) -> None:
    """Ctrl-C leaves the host as it was."""
    run = f"setsid sh -c 'echo $$ >{tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; exec sleep 1000'; sleep 1000"
    text = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # not so in the background
        "from backout.host.checks import run_checks; from backout.model.check import Check\n"
        f"run_checks([Check('it', run={run!r}, within_s=1000)], 'after', {ENV!r})"
    )
    env = {**ENV, "PYTHONPATH": str(Path(__file__).parents[3] / "src")}
    process = subprocess.Popen([sys.executable, "-c", text], env=env, stderr=subprocess.DEVNULL)
    while not (tmp_path / "pid").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.wait(300)
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_in_a_rehearsal_the_application_is_started_asked_and_ended() -> None:
    """The live one cannot be asked about a change that it does not have."""
    port = free_port()
    start = f"exec {sys.executable} -m http.server -b 127.0.0.1 {port}"
    url = f"http://127.0.0.1:{port}/"
    result = check(REHEARSAL, start=start, rehearsal_http=url, http="http://127.0.0.1:1/", within_s=LONG_S)
    assert (result.result, result.where) == (HEALTHY, REHEARSAL)
    assert check(http=url).result == UNHEALTHY


def test_an_application_that_does_not_start_is_told_at_once_with_its_words() -> None:
    """`No module named pkg_resources` is what the operator must see, and not after half a minute."""
    result = check(
        REHEARSAL,
        start="echo No module named pkg_resources >&2; exit 1",
        rehearsal_http=f"http://127.0.0.1:{free_port()}/",
        within_s=LONG_S,
    )
    assert result.result == UNHEALTHY
    assert result.output.endswith("The application said:\nNo module named pkg_resources\n")


def test_a_check_of_the_live_url_alone_is_not_run_in_a_rehearsal() -> None:
    """Asking the live site there would call the change healthy, whatever it is."""
    result = check(REHEARSAL, http="http://127.0.0.1:1/")
    assert result.result == NOT_RUN
    assert "names no rehearsal" in result.output


def test_what_also_fails_without_the_change_is_not_judged() -> None:
    """A check that needs the network is red in every rehearsal; refusing for that would help nobody (traps B6)."""
    with_change = [CheckResult(name, REHEARSAL, UNHEALTHY, "no route") for name in ("both", "change")]
    with_change.append(CheckResult("fine", REHEARSAL, HEALTHY))
    control = [
        CheckResult("both", REHEARSAL, UNHEALTHY),
        CheckResult("change", REHEARSAL, HEALTHY),
        CheckResult("fine", REHEARSAL, UNHEALTHY),
    ]
    judged = judge_control(with_change, control)
    assert [result.result for result in judged] == [NOT_RUN, UNHEALTHY, HEALTHY]
    assert judged[0].output.endswith("no route")
