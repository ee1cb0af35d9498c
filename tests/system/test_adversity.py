"""Bad input and bad surroundings: a clear sentence, the designed exit code, nothing changed, never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kit.cli import CHECKED, Backout, validate
from kit.picture import difference, picture
from kit.user import UserBackout, user_backout

SILENT = ("--network", "none")


@pytest.fixture
def user() -> Iterator[UserBackout]:
    """Give the command line of an ordinary user."""
    with user_backout() as backout:
        yield backout


def run(backout: Backout, argv: list[str], cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command line around `backout`, with nobody at the terminal."""
    return subprocess.run(
        argv,
        cwd=cwd or backout.folder,
        env={**backout.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        errors="surrogateescape",
    )


def said(done: subprocess.CompletedProcess[str], code: int, *words: str) -> str:
    """Hold what was said against the exit code and the words that must be in it; gives it on one line."""
    text = " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in text, done.stderr
    assert done.returncode == code, text
    for word in words:
        assert word in text, text
    return text


def injected(backout: Backout, fault: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run it on a kernel that answers a system call with an error."""
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={fault}"]
    return run(backout, [*strace, *backout.argv(*words)])


def in_own_mounts(backout: Backout, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run it after a shell script, with mounts of its own."""
    return run(backout, ["unshare", "-m", "sh", "-ec", script + '; exec "$@"', "sh", *backout.argv(*words)])


# What the user gives


def test_a_command_that_is_not_there_is_named(backout: Backout) -> None:
    """Exit 1: nothing ran, nothing changed."""
    said(backout("run", *SILENT, "--yes", "--", "no-such-command", "x"), 1, "Command not found: no-such-command")


def test_a_folder_that_is_gone_is_told(backout: Backout) -> None:
    """The shell of a colleague stands in a folder that was removed meanwhile."""
    gone = backout.folder / "gone"
    gone.mkdir()
    words = backout.argv("rehearse", *SILENT, "--", "true")
    done = run(backout, ["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", *words], cwd=gone)
    said(done, 2, "working directory", "cd")


def test_a_folder_that_the_user_may_not_enter_is_told(user: UserBackout) -> None:
    """As after `su`: the shell stands in root's home."""
    closed = user.home.parent / "closed"
    closed.mkdir(mode=0o700)
    done = run(user, user.argv("rehearse", *SILENT, "--", "true"), cwd=closed)
    said(done, 1, "cannot start in", "Permission denied")


def test_another_system_is_told(backout: Backout) -> None:
    """Exit 7 on a Mac, with what to do."""
    fake = "import sys; sys.platform = 'darwin'; from backout.cli import run; sys.exit(run(['rehearse', '--', 'true']))"
    said(run(backout, [sys.executable, "-c", fake]), 7, "need Linux", "darwin")


def test_a_name_that_is_no_utf_8_goes_through_unharmed(backout: Backout) -> None:
    """Arguments, file names and JSON: bytes all the way."""
    name = os.fsencode(backout.folder) + b"/caf\xe9\n\xff"
    words = [os.fsencode(word) for word in backout.argv("--json", "run", *SILENT, "--yes", "--", "touch")]
    done = subprocess.run([*words, name], cwd=backout.folder, env=backout.environ, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    validate(json.loads(done.stdout))
    assert os.path.exists(name)
    for verb in (["log"], ["back"]):
        done = subprocess.run(
            backout.argv(*verb), cwd=backout.folder, env=backout.environ, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert not os.path.exists(name)


@pytest.mark.parametrize(
    "environ",
    [
        {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"COLUMNS": "40", "NO_COLOR": "1"},
    ],
)
def test_poor_terminals_get_all_of_it(backout: Backout, environ: dict[str, str]) -> None:
    """LANG=C, 40 columns, NO_COLOR: everything is said, in characters that there are, in lines that fit."""
    done = backout("run", *SILENT, "--yes", "--full", "--", "echo größer > größe.conf; echo 4 > app.conf", **environ)
    text = said(done, 0, "app.conf", "applied")
    assert "\x1b" not in text
    said(backout("log", **environ), 0)
    said(backout("back", **environ), 0)


def test_a_reader_that_goes_away_is_no_error_to_shout_about(backout: Backout) -> None:
    """`backout log | head -1`: no traceback, no "Exception ignored"."""
    backout("run", *SILENT, "--yes", "--", "echo 4 > app.conf")
    for verb in (["log"], ["--json", "log"], ["rehearse", *SILENT, "--full", "--", "seq 100000; seq 100000 > numbers"]):
        done = run(backout, ["sh", "-c", '"$@" | head -0', "sh", *backout.argv(*verb)])
        assert done.stderr == "", (verb, done.stderr)


# The config


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[enviroments.production]\n", ("enviroments", "environments")),
        ("[environments.production]\nhosts = 'local'\n", ("hosts",)),
        ("[environments.production\n", ("backout.toml:1",)),
        ("[commands.x]\nrun = 3\n", ("run",)),
    ],
)
def test_a_mistake_in_the_config_is_named_with_its_place(backout: Backout, text: str, words: tuple[str, ...]) -> None:
    """Exit 2: the key, the nearest known one, the file; as a document with --json."""
    (backout.folder / "backout.toml").write_text(text)
    said(backout("rehearse", *SILENT, "--", "true"), 2, "backout.toml", *words)
    document, code = backout.json("rehearse", *SILENT, "--", "true")
    assert (code, document["schema"]) == (2, "backout.error/1")


def test_a_config_that_everyone_may_write_is_not_believed(backout: Backout) -> None:
    """Its checks are commands, and would run as root."""
    config = backout.folder / "backout.toml"
    config.write_text("")
    config.chmod(0o666)
    said(backout("rehearse", *SILENT, "--", "true"), 2, "can be written by everyone", "--config")


def test_a_config_that_the_user_may_not_read_is_told(user: UserBackout) -> None:
    """Exit 2, and how to go on."""
    config = user.folder / "backout.toml"
    config.write_text("")
    config.chmod(0o600)
    said(user("rehearse", *SILENT, "--", "true"), 2, "Permission denied", "--config")


# The host


def test_a_kernel_without_overlayfs_is_told(backout: Backout) -> None:
    """Exit 7, and doctor says why."""
    said(
        injected(backout, "mount:error=ENODEV:when=3+", "rehearse", *SILENT, "--", "true"),
        7,
        "overlay",
        "backout doctor",
    )
    assert not list(backout.state.glob("stage/*"))


def test_root_without_power_is_told_as_in_a_container(backout: Backout) -> None:
    """Docker's root: no CAP_SYS_ADMIN. Exit 7 from the command, from doctor a finding with a remedy."""
    without = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-all"]
    said(
        run(backout, [*without, *backout.argv("rehearse", *SILENT, "--", "true")]), 7, "container", "on the host itself"
    )
    said(run(backout, [*without, *backout.argv("doctor")]), 7, "container")


def test_a_user_who_may_not_make_namespaces_is_told_the_line_to_type(user: UserBackout) -> None:
    """Ubuntu 24.04: exit 7 and the sudo line, from the command and from doctor."""
    said(injected(user, "unshare:error=EPERM", "rehearse", *SILENT, "--", "true"), 7, "sudo sysctl")
    said(injected(user, "unshare:error=EPERM", "doctor"), 7, "sudo sysctl")


def test_a_root_that_is_an_overlay_is_told(backout: Backout) -> None:
    """As in most containers; kernels stack only so many overlays."""
    place = "/var/tmp/backout-test-overlay"
    script = (
        f"mkdir -p {place}; mount -t tmpfs x {place}; cd {place}; mkdir u w m;"
        "mount -t overlay -o lowerdir=/,upperdir=u,workdir=w x m;"
        "for d in proc dev sys; do mount --rbind /$d m/$d; done;"
        f"mount --bind {backout.state.parent} m{backout.state.parent};"
        "cd m; mkdir -p old; pivot_root . old; cd /; umount -l old"
    )
    done = in_own_mounts(backout, script, "rehearse", *SILENT, "--", "true")
    os.rmdir(place)
    said(done, 7, "root file system is overlay", "on the host itself")


def test_doctor_tells_the_truth_about_this_machine(backout: Backout, user: UserBackout) -> None:
    """Every finding holds as root and as user: a rehearsal works exactly where doctor says so."""
    for who in (backout, user):
        document, code = who.json("doctor")
        assert (code, document["ok"]) == (0, True), document
        assert all(finding["remedy"] for finding in document["findings"] if not finding["ok"])
        assert who("rehearse", *SILENT, "--", "true").returncode == 0
        assert not list(who.state.glob("stage/*"))


# The state folder


def test_a_full_state_folder_changes_nothing(backout: Backout) -> None:
    """A tiny file system: the command is ended or the change refused, and the next one works once there is room."""
    backout.state.mkdir()
    before = picture(backout.folder)
    script = f"mount -t tmpfs -o size=64k tiny {backout.state}"
    done = in_own_mounts(
        backout, script, "run", *SILENT, "--yes", "--", "head -c 300000 /dev/urandom > big; echo 4 > app.conf"
    )
    text = said(done, done.returncode)
    assert done.returncode in (1, 7), text
    assert "space" in text or "No space" in text, text
    assert difference(before, picture(backout.folder)) == {}


def test_a_read_only_state_folder_is_told(backout: Backout) -> None:
    """Exit 7, the folder is named, and the way out."""
    backout.state.mkdir()
    script = f"mount --bind {backout.state} {backout.state}; mount -o remount,bind,ro {backout.state}"
    done = in_own_mounts(backout, script, "run", *SILENT, "--yes", "--", "echo 4 > app.conf")
    said(done, 7, str(backout.state), "Read-only", "BACKOUT_STATE")


def _applied(backout: Backout) -> str:
    document, code = backout.json("run", *SILENT, "--yes", "--", "echo 4 > app.conf")
    assert code == 0
    return str(document["change"])


def _break(ledger: Path) -> None:
    content = ledger.read_bytes().replace(b'"kind":"kept"', b'"kind":"undone"')
    ledger.write_bytes(content.replace(b'"echo 4', b'"echo 9', 1))


@pytest.mark.parametrize("verb", [("log",), ("back",), ("gc",), ("run", *SILENT, "--yes", "--", "echo 5 > app.conf")])
@pytest.mark.parametrize("harm", [_break, Path.unlink])
def test_a_damaged_or_lost_ledger_stops_everything_and_is_mended_from_the_journal(
    backout: Backout, verb: tuple[str, ...], harm: Callable[[Path], None]
) -> None:
    """Exit 5 with what is safe, and how to go on; the way on works, and costs no change that stands."""
    change = _applied(backout)
    ledger = backout.state / "ledger"
    whole = ledger.read_bytes()
    harm(ledger)
    before = picture(backout.folder)
    said(backout(*verb), 5, str(ledger), "backout recover", "untouched")
    assert not backout.json("doctor")[0]["ok"]
    assert difference(before, picture(backout.folder)) == {}
    document, code = backout.json("recover")
    assert (code, document["mended"] > 0, document["recovered"]) == (0, True, [])
    assert ledger.read_bytes() == whole
    assert [row["id"] for row in backout.json("log")[0]["changes"]] == [change]
    assert backout("back").returncode == 0
    assert (backout.folder / "app.conf").read_text() == "workers = 2\n"


@pytest.mark.parametrize("harm", [_break, Path.unlink])
def test_a_ledger_of_which_nobody_has_a_copy_is_never_guessed_at(
    backout: Backout, harm: Callable[[Path], None]
) -> None:
    """To cut the damage off would make a change that stands an unfinished one, and take it back."""
    _applied(backout)
    harm(backout.state / "ledger")
    shutil.rmtree(backout.environ["XDG_STATE_HOME"])
    left = picture(backout.state)
    said(backout("recover"), 5, "cannot be mended", "Recovery by hand")
    assert difference(left, picture(backout.state)).keys() <= {b".", b"lock"}


def test_a_state_folder_of_ours_is_closed_to_others(backout: Backout) -> None:
    """Design, section 6: it holds what files were before, secrets in them too."""
    backout.state.mkdir(mode=0o777)
    backout.state.chmod(0o777)
    _applied(backout)
    assert oct(backout.state.stat().st_mode & 0o777) == "0o700"


def test_going_back_needs_no_configuration_that_can_be_read(backout: Backout) -> None:
    """What went wrong may be the very file that was changed; then back is needed most."""
    (backout.folder / "backout.toml").write_text('[environments.here]\nhosts = ["local"]\n')
    assert backout("run", *SILENT, "--yes", "--", "echo garbage > backout.toml").returncode == 0
    done = backout("back")
    assert (done.returncode, "without the checks" in done.stderr) == (0, True)
    assert "hosts" in (backout.folder / "backout.toml").read_text()


def test_a_torn_last_line_is_silently_fine(backout: Backout) -> None:
    """It was never promised: the crash came before the fsync returned."""
    _applied(backout)
    with (backout.state / "ledger").open("ab") as file:
        file.write(b'{"format": 1, "host"')
    assert backout.json("log")[0]["changes"][0]["state"] == "kept"
    assert backout("back").returncode == 0
    assert (backout.folder / "app.conf").read_text() == "workers = 2\n"


def test_a_newer_ledger_names_the_release_that_reads_it(backout: Backout) -> None:
    """Exit 7: nothing is guessed about a format to come."""
    _applied(backout)
    ledger = backout.state / "ledger"
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    lines[0]["format"], lines[0]["body"]["release"] = 99, "9.9.0"
    ledger.write_text("".join(json.dumps(line) + "\n" for line in lines))
    said(backout("log"), 7, "format 99", "9.9.0")


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe"])
@pytest.mark.parametrize("name", ["plan.json", "raw.json.gz", "effects.json"])
def test_a_damaged_archive_is_told_and_nothing_is_changed(backout: Backout, name: str, damage: bytes) -> None:
    """Exit 5: the plan's hash stands in the ledger; of the rest, each says which file is damaged."""
    change = _applied(backout)
    (backout.state / "changes" / change / name).write_bytes(damage)
    before = picture(backout.folder)
    verb = ("show", change) if name == "effects.json" else ("back",)
    said(backout(*verb), 5, name, "damaged")
    assert difference(before, picture(backout.folder)) == {}


def test_a_damaged_journal_is_built_anew_from_the_ledger(backout: Backout) -> None:
    """Exit 5 with what to type; typed, everything is there again: the ledgers are the authority."""
    change = _applied(backout)
    journal = Path(backout.environ["XDG_STATE_HOME"]) / "backout/journal.db"
    journal.write_bytes(b"garbage" * 1000)
    text = said(backout("log"), 5, "journal.db is damaged", "Move it away: ")
    way_on = text.partition("Move it away: ")[2].partition(" - ")[0]
    subprocess.run(["sh", "-c", way_on], check=True)
    assert [row["id"] for row in backout.json("log")[0]["changes"]] == [change]
    assert backout("back").returncode == 0


def test_a_newer_journal_names_the_release_that_reads_it(backout: Backout) -> None:
    """Exit 7, nothing is written to it."""
    _applied(backout)
    journal = Path(backout.environ["XDG_STATE_HOME"]) / "backout/journal.db"
    with sqlite3.connect(journal) as database:
        database.execute("INSERT INTO migration (number, release) VALUES (99, '9.9.0')")
        database.execute("PRAGMA user_version = 99")
    database.close()
    said(backout("log"), 7, "9.9.0")


@pytest.mark.parametrize(
    "words",
    [
        ("run", "nothing"),
        ("show", "x"),
        ("back",),
        ("--json", "rehearse"),
        ("run", "--frob"),
        ("gc", "--older-than", "soon"),
        ("rehearse", *SILENT, "--", "no-such", "x"),
    ],
)
def test_every_error_is_a_document_with_json(backout: Backout, words: tuple[str, ...]) -> None:
    """backout.error/1, validated, on stdout; nothing else there. It says how to go on (law 7)."""
    document, code = backout.json(*words)
    assert document["schema"] == "backout.error/1"
    assert document["exit_code"] == code > 0
    assert document["what"]
    assert document["next"]


# Ending it


PHASES = {
    "rehearsal": ("true", "echo 4 > app.conf; sleep 300.{marker}", ()),
    "checks before": ("sleep 300.{marker}", "echo 4 > app.conf", ()),
    "checks in the rehearsal": ("grep -q 2 {conf} || sleep 300.{marker}", "echo 4 > app.conf", ()),
    "after": ("true", "echo 4 > app.conf", ("--after", "test -e {live} || {{ touch {live}; sleep 300.{marker}; }}")),
    "checks after": (
        "test ! -e {live} || grep -q 2 {conf} || sleep 300.{marker}",
        "echo 4 > app.conf",
        ("--after", "touch {live}"),
    ),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda n: n.name)
@pytest.mark.parametrize("phase", PHASES)
def test_ended_at_any_phase_the_host_is_as_before_and_nothing_is_left(
    backout: Backout, phase: str, number: signal.Signals
) -> None:
    """Exit 130 where it can still say so; the host as before (after SIGKILL: after recover); nothing left."""
    words = {
        "marker": f"{os.getpid()}{time.monotonic_ns()}",
        "conf": backout.folder / "app.conf",
        "live": backout.folder.parent / "live",
    }
    check, script, extra = PHASES[phase]
    config = CHECKED.replace('"1s"', '"400s"').replace("{run}", check.format(**words))
    (backout.folder / "backout.toml").write_text(config)
    before = picture(backout.folder)
    told = ("run", *SILENT, "--yes", *(word.format(**words) for word in extra), "--", script.format(**words))
    with backout.beside(*told, stderr=subprocess.STDOUT, start_new_session=True) as process:
        _until(lambda: _running(f"^sleep 300.{words['marker']}"))
        process.send_signal(number)
        text, _ = process.communicate(timeout=300)
    assert "Traceback" not in text, text
    if number is not signal.SIGKILL:
        assert process.returncode == 130, text
    _until(lambda: not _running(f"^sleep 300.{words['marker']}"))
    _until(lambda: not _running(str(backout.folder)))
    if number is signal.SIGKILL:
        (backout.folder.parent / "live").unlink(missing_ok=True)
        recovered = backout("recover")
        said(recovered, 0)
    assert backout("gc", "--older-than", "0s").returncode == 0
    if number is not signal.SIGKILL or not phase.endswith("after"):
        assert difference(before, picture(backout.folder)) == {}
        assert not list(backout.state.glob("stage/*")), list(backout.state.glob("stage/*/*"))


def _running(word: str) -> bool:
    found = subprocess.run(["pgrep", "-f", word], capture_output=True, text=True, check=False).stdout.split()
    return any(int(pid) != os.getpid() for pid in found)


def _until(condition: object) -> None:
    """Wait for what must come; the test's own time limit ends it when it does not."""
    until = time.monotonic() + 300
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.02)
