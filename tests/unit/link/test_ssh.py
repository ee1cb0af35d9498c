"""What is asked of ssh, and the file that travels; that real hosts understand it is shown in tests/system."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backout.errors import FailedError, NotPossibleError
from backout.host import compiled
from backout.link import ssh, zipapp

PRIVATE = 0o700


@pytest.fixture
def runtime() -> Iterator[dict[str, str]]:
    """A folder for sockets with a short name, as the variable that leads to it."""
    with tempfile.TemporaryDirectory(prefix="backout-", dir="/tmp") as folder:
        yield {"XDG_RUNTIME_DIR": folder}


def test_the_host_half_is_the_same_bytes_each_time_and_holds_what_runs_there(tmp_path: Path) -> None:
    """Its name is its hash: were it another one each time, it would travel each time."""
    half = zipapp.build()
    zipapp._built.cache_clear()
    assert zipapp.build() == half
    (tmp_path / "half.pyz").write_bytes(half.content)
    names = zipfile.ZipFile(tmp_path / "half.pyz").namelist()
    assert names == sorted(names)
    assert {"backout/host/shims.sh", "backout/lens/noise.json", "backout/errors.py"} <= set(names)
    assert {name.split("/")[1] for name in names} == {"__init__.py", "errors.py", "model", "lens", "host"}


def test_all_of_the_host_half_can_be_used_inside_its_file(tmp_path: Path) -> None:
    """Lenses are found by name and data lies beside them: both work differently where there is one file alone."""
    (tmp_path / "half.pyz").write_bytes(zipapp.build().content)
    (tmp_path / "loader.py").write_text(zipapp.loader())
    script = """if True:
        import sys
        loader = {"__name__": "__main__"}
        exec(open(sys.argv[2]).read(), loader)
        rest = loader["executed"](open(sys.argv[3]).read())
        code = rest.compiled(sys.argv[1], open(sys.argv[1], "rb").read())
        rest.let_import(sys.argv[1], loader["parts_of"](code))
        from backout import host
        from backout.host import serve, shims
        from backout.lens import meaning, noise
        import os, tempfile
        assert host.__file__.startswith(sys.argv[1])
        assert len(meaning.lenses()) > 5
        with tempfile.TemporaryDirectory() as folder:
            shims.build(os.fsencode(folder) + b"/shims")
        print(len(noise.rules()))
    """
    files = (tmp_path / "half.pyz", tmp_path / "loader.py", Path(str(compiled.__file__)))
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, *map(str, files)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_what_a_person_set_is_not_overridden(runtime: dict[str, str]) -> None:
    """An option on the command line would win over ~/.ssh/config."""
    bare = ssh.options({}, runtime)
    theirs = {"connecttimeout": "3", "serveraliveinterval": "7", "controlmaster": "auto", "controlpath": "/run/x"}
    chosen = ssh.options(theirs, runtime)
    assert "BatchMode=yes" in chosen
    assert not [word for word in chosen if word.startswith(("Connect", "ServerAlive", "Control"))]
    assert [word for word in bare if word.startswith("ControlPath=")] == [
        f"ControlPath={ssh.control_folder(runtime)}/%C"
    ]
    assert not [word for word in bare if word.startswith(("StrictHostKey", "User", "Port", "Identity", "Proxy"))]


def test_shared_connections_lie_where_nobody_else_may_open_them(runtime: dict[str, str]) -> None:
    """Whoever opens the socket is logged in."""
    folder = Path(ssh.control_folder(runtime))
    assert folder.stat().st_mode & 0o777 == PRIVATE
    folder.chmod(0o755)
    with pytest.raises(NotPossibleError, match="is not ours alone"):
        ssh.control_folder(runtime)


def test_a_host_whose_login_never_comes_to_the_point_is_given_up(
    tmp_path: Path, runtime: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start-up file that asks a question would wait for ever for an answer."""
    fake = tmp_path / "ssh"
    fake.write_text('#!/bin/sh\n[ "$1" = -G ] && exec echo hostname 192.0.2.7\necho Welcome\nexec sleep 600\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(ssh, "GREETING_S", 0.3)
    with pytest.raises(FailedError, match=r"web1: no answer from 192\.0\.2\.7 port 22 within") as caught:
        ssh.connect("web1", None, lambda *_: None, environ=runtime)
    assert caught.value.next.endswith("ssh -v web1 true")


def test_no_ssh_is_said_to_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one program that is needed on the controller."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotPossibleError, match="no ssh on this machine"):
        ssh.connect("web1", None, lambda *_: None)
