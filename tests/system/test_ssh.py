"""A host reached by the real ssh: the same commands, the same record, and nothing of ours goes across."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from backout.link.ssh import command
from kit.sshd import Host, World, until, world

HERE = ("-e", "production")
CONFIG = """
[environments.production]
hosts = ["web1"]
[environments.staging]
hosts = ["web2"]
[environments.both]
hosts = ["web1", "web2"]
[environments.here]
hosts = ["local"]
"""


@pytest.fixture(scope="module")
def reach() -> Iterator[World]:
    """Two hosts, and the controller that reaches them."""
    with world() as made:
        made.add("web1")
        made.add("web2")
        made.environments(CONFIG)
        yield made


@pytest.fixture
def app(reach: World) -> Iterator[Path]:
    """A file to change: all namespaces share the file system."""
    path = reach.folder / "app.conf"
    path.write_text("workers = 2\n")
    yield path
    path.unlink()


def test_a_change_is_rehearsed_applied_shown_and_taken_back_on_the_host(reach: World, app: Path) -> None:
    """The whole story over ssh; what `log` and `show` say is the host's own record."""
    rehearsed, code = reach.backout.json("rehearse", *HERE, "--", f"echo 4 > {app}")
    assert (code, rehearsed["host"], app.read_text()) == (0, "web1", "workers = 2\n")
    accepted = ("--accept", rehearsed["digest"], "--why", "more load")
    ran, code = reach.backout.json("run", *HERE, *accepted, "--", f"echo 4 > {app}")
    assert (code, app.read_text()) == (0, "4\n")
    assert ran["verdict"]["reasons"][0]["next"] == "backout back -e production takes it back."
    row = reach.backout.json("log", *HERE)[0]["changes"][0]
    assert (row["host"], row["environment"], row["why"], row["state"]) == ("web1", "production", "more load", "kept")
    shown = reach.backout("show", *HERE, "--output", ran["change"])
    assert (shown.returncode, "more load" in shown.stdout) == (0, True), shown.stderr
    back, code = reach.backout.json("back", *HERE)
    assert (code, back["undone"][0]["change"], app.read_text()) == (0, ran["change"], "workers = 2\n")
    again = reach.backout("run", *HERE, "--yes", "--change", ran["change"])
    assert (again.returncode, app.read_text()) == (0, "4\n"), again.stderr
    assert reach.backout("recover", *HERE).returncode == 0
    assert reach.backout("gc", *HERE, "--older-than", "0").returncode == 0
    assert reach.backout.json("doctor", *HERE)[0]["ok"]
    assert not reach.backout.json("log")[0]["changes"]


def test_a_command_there_has_the_environment_of_a_login_there_and_nothing_of_ours(reach: World, web1: Host) -> None:
    """Tokens of the controller's shell would end up in files of a server, and in its record."""
    wanted = reach.backout("rehearse", *HERE, "--quiet", "--network", "host", "--", "true")
    assert wanted.returncode == 0, wanted.stderr
    done = reach.backout("rehearse", *HERE, "--network", "none", "--", "env; pwd", SECRET_TOKEN="hunter2", LC_ALL="C")
    said = done.stdout.partition("\n$ ")[0].splitlines()
    assert {"ONLY_THERE=yes", f"HOME={web1.home}", str(web1.home)} <= set(said)
    names = {line.partition("=")[0] for line in said}
    assert not names & {"ONLY_HERE", "SECRET_TOKEN", "PYTHONPATH", "LC_CTYPE", "LC_ALL"}


def _kept(host: Host) -> tuple[Path, Path]:
    """Give the host half that a host has kept, and its byte code."""
    half, code = sorted((host.cache / "backout").iterdir(), key=lambda path: len(path.name))
    assert code.name.startswith(half.stem + ".")
    return half, code


def test_the_host_half_travels_once_and_a_wrong_one_is_replaced(reach: World, web1: Host) -> None:
    """Content decides: what lies there is verified each time before it is executed."""
    assert reach.backout("log", *HERE).returncode == 0
    half, _ = _kept(web1)
    assert half.name == hashlib.sha256(half.read_bytes()).hexdigest() + ".pyz"
    assert (half.stat().st_mode & 0o777, half.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    first = half.stat()
    assert reach.backout("log", *HERE).returncode == 0
    assert half.stat().st_ino == first.st_ino
    whole = half.read_bytes()
    mark = web1.folder / "executed"
    evil = f"open({str(mark)!r}, 'w')\n".encode().ljust(len(b"from __future__ import annotations\n"))
    half.write_bytes(whole.replace(b"from __future__ import annotations\n", evil))
    assert half.read_bytes() != whole
    assert reach.backout("log", *HERE).returncode == 0
    assert (half.read_bytes() == whole, mark.exists()) == (True, False)
    assert _kept(web1)[0] == half


def test_the_host_half_is_compiled_once_and_wrong_byte_code_is_made_anew(reach: World, web1: Host) -> None:
    """A compiler's work at each contact; what it left is verified as well, before any of it is executed."""
    assert reach.backout("log", *HERE).returncode == 0
    half, code = _kept(web1)
    assert code.name.split(".")[2] == hashlib.sha256(code.read_bytes()).hexdigest()
    assert code.stat().st_mode & 0o777 == 0o600
    first = code.stat()
    assert reach.backout("log", *HERE).returncode == 0
    assert code.stat().st_ino == first.st_ino
    code.write_bytes(code.read_bytes().replace(b"backout.wire/1", b"backout.wire/9"))
    assert reach.backout("log", *HERE).returncode == 0
    assert _kept(web1)[0] == half
    again = _kept(web1)[1]
    assert again.name.split(".")[2] == hashlib.sha256(again.read_bytes()).hexdigest()


def test_host_halves_that_nobody_used_for_a_month_go_when_another_one_comes(reach: World, web1: Host) -> None:
    """Each release brings its own; the cache of a host would grow for ever."""
    assert reach.backout("log", *HERE).returncode == 0
    half, code = _kept(web1)
    old, fresh = (half.parent / f"{letter * 64}.pyz" for letter in "ab")
    for path, days in ((old, 31), (fresh, 29), (half, 31), (code, 31)):
        path.touch()
        os.utime(path, times=(time.time() - days * 86400,) * 2)
    assert reach.backout("log", *HERE).returncode == 0
    assert {old, fresh, half, code} == set(half.parent.iterdir())
    half.unlink()
    assert reach.backout("log", *HERE).returncode == 0
    assert {fresh, half, code} == set(half.parent.iterdir())
    fresh.unlink()


def test_a_place_where_others_may_write_is_no_place_for_the_host_half(reach: World, web1: Host) -> None:
    """Between the look at it and its start somebody could put another one there."""
    reach.backout("log", *HERE)
    (web1.cache / "backout").chmod(0o777)
    error, code = reach.backout.json("log", *HERE)
    (web1.cache / "backout").chmod(0o700)
    assert (code, "others may write there" in error["what"]) == (1, True)


def test_a_login_shell_that_prints_is_no_trouble(reach: World, web1: Host) -> None:
    """Greetings, fortunes, warnings, also without a line's end, and words that look like ours."""
    web1.log_in_with('#!/bin/sh\necho Welcome; echo "{}"; echo backout.boot; printf "no end"; exec /bin/sh "$@"\n')
    done = reach.backout("log", *HERE)
    web1.log_in_with('#!/bin/sh\nexec /bin/sh "$@"\n')
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_first_line_is_read_alike_by_shells(shell: str) -> None:
    """It goes to whatever shell the login has, and has to say the same in each."""
    script = b"%d\n%b" % (len("print('here')"), b"print('here')")
    done = subprocess.run([shell, "-c", command(None)], input=script, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"here\n", b"")


def test_two_hosts_have_records_of_their_own(reach: World, app: Path) -> None:
    """What was done on one is not on the other's record, nor to be taken back there."""
    ran, _ = reach.backout.json("run", "-e", "staging", "--yes", "--", f"echo 4 > {app}")
    assert ran["change"] in [row["id"] for row in reach.backout.json("log", "-e", "staging")[0]["changes"]]
    assert ran["change"] not in [row["id"] for row in reach.backout.json("log", *HERE)[0]["changes"]]
    error, code = reach.backout.json("back", *HERE, ran["change"])
    assert (code, error["what"]) == (2, f"Change {ran['change']} is not on this host's record.")
    assert reach.backout("back", "-e", "staging").returncode == 0
    one, other = (
        reach.backout.json("rehearse", "-e", name, "--", f"echo 4 > {app}")[0] for name in ("production", "staging")
    )
    assert (one["host"], other["host"], one["digest"] == other["digest"]) == ("web1", "web2", True)


def test_what_works_on_this_machine_alone_says_so(reach: World) -> None:
    """Half of it would be worse than none."""
    for words, what in {
        ("edit", "-e", "both", "/etc/hosts"): "has 2 hosts; backout edit works on one",
        ("run", *HERE, "--interactive", "--", "true"): "--interactive works on this machine alone",
    }.items():
        error, code = reach.backout.json(*words)
        assert (code, what in error["what"], bool(error["next"])) == (7, True, True)
    assert reach.backout("log", "-e", "here").returncode == 0


def test_a_file_of_the_host_is_edited_here_and_saved_there(reach: World, app: Path) -> None:
    """The editor is the one that the person has here; what it saves is a change that expects just that file."""
    seen = reach.folder / "seen"
    editor = reach.folder / "editor"
    editor.write_text(f'#!/bin/sh\ncp "$1" {seen}; echo "token = hunter2" >> "$1"\n')
    editor.chmod(0o755)
    done = reach.backout("edit", *HERE, "--why", "a token", str(app), EDITOR=str(editor))
    assert done.returncode == 0, done.stderr
    assert (seen.read_text(), app.read_text()) == ("workers = 2\n", "workers = 2\ntoken = hunter2\n")
    row = reach.backout.json("log", *HERE)[0]["changes"][0]
    assert (row["command"], row["why"], row["host"]) == (["backout", "edit", str(app)], "a token", "web1")
    assert reach.backout("back", *HERE).returncode == 0
    new = reach.folder / "new.conf"
    done = reach.backout("edit", *HERE, str(new), EDITOR=str(editor))
    assert (done.returncode, new.read_text()) == (0, "token = hunter2\n"), done.stderr
    assert reach.backout("back", *HERE).returncode == 0
    assert not new.exists()


def test_a_colleagues_save_while_the_editor_is_open_is_not_overwritten(reach: World, app: Path) -> None:
    """What the file was when the editor opened is what the save is meant to replace."""
    editor = reach.folder / "late"
    editor.write_text(f'#!/bin/sh\necho "mine" >> "$1"; echo "theirs" >> {app}\n')
    editor.chmod(0o755)
    error, code = reach.backout.json("edit", *HERE, str(app), environ={"EDITOR": str(editor)})
    assert (code, app.read_text()) == (6, "workers = 2\ntheirs\n")
    assert "was changed by somebody else while you edited it" in error["what"]
    assert error["next"] == f"backout edit -e production {app}"
    kept = Path(error["state"].rpartition("kept in ")[2].rstrip("."))
    assert kept.read_text() == "workers = 2\nmine\n"
    shutil.rmtree(kept.parent)
    for name, what in {"relative": "not an absolute path", str(app.parent): "is not a file"}.items():
        error, code = reach.backout.json("edit", *HERE, name, environ={"EDITOR": str(editor)})
        assert (code, what in error["what"]) == (2, True), error


def test_ctrl_c_reaches_the_host_and_leaves_nothing_there(
    reach: World, web1: Host, processes_with: Callable[[str], Sequence[int]]
) -> None:
    """Signals do not cross ssh: without our word the command would go on there, with nobody to hear it."""
    before, word = web1.stages(), f"600.{os.getpid()}"
    words = ("rehearse", *HERE, "--", f"echo begun; sleep {word} & wait; sleep {word}")
    with reach.backout.beside(*words, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "begun\n"
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.read()
        process.wait()
    assert (process.returncode, "This host is as it was before" in said) == (130, True), said
    until(lambda: not web1.halves(), "the host half to end")
    assert web1.stages() == before
    assert processes_with(word) == []


def test_panic_tells_what_the_host_knows_and_saves_what_it_is_like(reach: World, app: Path) -> None:
    """Of a change that a colleague made from elsewhere, only the host's ledger tells; it is the first suspect."""
    assert reach.backout("run", *HERE, "--yes", "--", f"echo 4 > {app}").returncode == 0
    shutil.rmtree(Path(reach.backout.environ["XDG_STATE_HOME"]) / "backout")  # the journal of somebody else, then
    told, code = reach.backout.json("panic", *HERE, "it", "is", "down")
    assert code == 0, told
    assert [(host["host"], host["answered"]) for host in told["hosts"]] == [("web1", True)]
    assert told["changes"][0]["command"] == [f"echo 4 > {app}"]
    assert told["changes"][0]["back"][:4] == ["backout", "back", *HERE]
    assert [row["host"] for row in told["saved"]] == ["web1"]
