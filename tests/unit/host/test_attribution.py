"""Who did it: the lines of real tools are read as what they say, and what they do not say is not made up."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

import pytest

from backout.host import attribution
from backout.host.attribution import UNKNOWN, attribute


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of logs in the place of /var/log; no journald is asked."""
    monkeypatch.setattr(attribution, "_LOGS", f"{tmp_path}/log/")
    monkeypatch.setattr(attribution, "_SUMMARIES", (f"{tmp_path}/last_run_summary.yaml",))
    monkeypatch.setenv("PATH", "")
    (tmp_path / "log" / "apt").mkdir(parents=True)
    return tmp_path / "log"


def told(kind: str, subject: str, since_s: float = 0) -> tuple[str, str | None]:
    """Ask about one thing."""
    (answer,) = attribute([{"kind": kind, "subject": subject}], since_s)
    return answer["what"], answer["evidence"]


def local(at: float) -> str:
    """Write a time as apt and dpkg do."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def test_a_package_is_apts_when_its_history_names_it_and_dpkgs_otherwise(logs: Path) -> None:
    """Of the two, apt says who asked, and for what; dpkg alone says only that it was done."""
    now = time.time()
    (logs / "apt" / "history.log").write_text(
        f"\nStart-Date: {local(now)}\nCommandline: apt-get install nginx\nRequested-By: ada (1000)\n"
        f"Install: nginx:amd64 (1.22.1-9), libfoo:amd64 (1, automatic)\nEnd-Date: {local(now)}\n"
    )
    (logs / "dpkg.log").write_text(
        f"{local(now)} install nginx:amd64 <none> 1.22.1-9\n{local(now)} remove nginx-extras:amd64 1 <none>\n"
    )
    what, evidence = told("debian-package", "nginx")
    assert (what, "apt-get install nginx (ada (1000))" in str(evidence)) == ("apt", True)
    assert told("debian-package", "libfoo")[0] == "apt"
    assert told("debian-package", "nginx-extras")[0] == "dpkg"
    assert told("debian-package", "foo") == ("unknown", None)
    assert told("debian-package", "nginx", int(now) + 0.99)[0] == "apt"  # within the second of the look
    assert told("debian-package", "nginx", now + 60) == ("unknown", None)


def test_a_log_that_was_put_aside_and_packed_is_read_too(logs: Path) -> None:
    """Drift of last week is in dpkg.log.2.gz."""
    with gzip.open(logs / "dpkg.log.2.gz", "wt") as file:
        file.write(f"{local(time.time())} upgrade curl:amd64 7 8\n")
    (logs / "dpkg.log.3.gz").write_bytes(b"no gzip")
    assert told("debian-package", "curl")[0] == "dpkg"


@pytest.mark.parametrize(
    "stamp",
    [
        lambda at: time.strftime("%Y-%m-%dT%H:%M:%S.123456+00:00", time.gmtime(at)),
        lambda at: time.strftime("%Y-%m-%dT%H:%M:%S.123456+02:00", time.gmtime(at + 7200)),
        lambda at: time.strftime("%b %e %H:%M:%S", time.localtime(at)),
    ],
)
def test_a_file_is_of_what_was_at_work_when_it_was_changed(logs: Path, stamp: object) -> None:
    """What names the file comes before what was only near; each in the ways in which rsyslog writes times."""
    path = logs.parent / "app.conf"
    path.write_text("x")
    at = os.lstat(path).st_ctime
    lines = [
        f"{stamp(at - 5)} web1 sudo[7]:      ada : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/vim {path}",  # type: ignore[operator]
        f"{stamp(at - 2)} web1 sudo:      bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls",  # type: ignore[operator]
        f"{stamp(at - 4000)} web1 sudo:      eve : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/vim {path}",  # type: ignore[operator]
    ]
    (logs / "auth.log").write_text("\n".join(lines))
    assert told("file", str(path)) == ("sudo by ada", lines[0])
    assert told("config", f"{path}#a.b") == ("sudo by ada", lines[0])
    (logs / "auth.log").write_text(lines[1])
    assert told("file", str(path)) == ("perhaps sudo by bob", lines[1])
    assert told("file", str(path), at - 1)[0] == "perhaps sudo by bob"  # who had an editor open at the look before


def test_a_run_of_cron_or_puppet_near_a_change_is_named(logs: Path) -> None:
    """An agent that runs every half an hour is who undoes what a person did."""
    path = logs.parent / "app.conf"
    path.write_text("x")
    at = os.lstat(path).st_ctime
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(at - 1))
    (logs / "syslog").write_text(f"{stamp} web1 CRON[7]: (root) CMD (/usr/local/bin/tidy)\n")
    assert told("file", str(path))[0] == "perhaps cron"
    (logs / "syslog").unlink()
    (logs.parent / "last_run_summary.yaml").write_text(f"---\ntime:\n  total: 3.2\n  last_run: {int(at) + 2}\n")
    what, evidence = told("file", str(path))
    assert (what, f"last_run: {int(at) + 2}" in str(evidence)) == ("perhaps puppet", True)


def test_a_user_is_of_the_tool_that_made_it(logs: Path) -> None:
    """It says so in auth.log."""
    line = f"{time.strftime('%b %e %H:%M:%S')} web1 useradd[99]: new user: name=deploy, UID=1001, GID=1001"
    (logs / "auth.log").write_text(line)
    assert told("user", "deploy") == ("useradd", line)
    assert told("user", "other") == ("unknown", None)


def test_a_python_package_is_of_its_installer(logs: Path) -> None:
    """Installers leave their name, and whether somebody asked for the package (PEP 376, PEP 627)."""
    info = logs.parent / "venv" / "lib" / "python3.11" / "site-packages" / "Flask_Login-1.dist-info"
    info.mkdir(parents=True)
    (info / "INSTALLER").write_text("pip\n")
    what, evidence = told("python-package", f"{logs.parent}/venv:flask-login")
    assert (what, "not asked for by itself" in str(evidence)) == ("pip", True)
    (info / "REQUESTED").touch()
    assert ", asked for" in str(told("python-package", f"{logs.parent}/venv:flask-login")[1])
    assert told("python-package", f"{logs.parent}/venv:flask") == ("unknown", None)


def test_nothing_is_made_up_where_there_is_no_log(logs: Path) -> None:
    """Minimal systems have none; a line with no time that can be read counts for nothing."""
    (logs / "auth.log").write_text("Foo 99 99:99:99 web1 useradd[1]: new user: name=deploy\nnonsense\n")
    (logs / "dpkg.log").write_text("yesterday at-noon install nginx:amd64 <none> 1\n")
    (logs / "apt" / "history.log").write_text("Commandline: x\n")
    for kind, subject in (("user", "deploy"), ("debian-package", "nginx"), ("file", "/nowhere"), ("sysctl", "")):
        assert told(kind, subject) == (UNKNOWN["what"], UNKNOWN["evidence"])
