"""`backout split` through the front door: real packages, real views, the checks inside; and every way to have none."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kit.cli import CHECKED, Backout
from kit.picture import difference, picture
from kit.sshd import Host, World, until, world
from kit.user import user_backout

SILENT = ("--network", "none")
TRIAL = "trial-"
"""How the host names what a trial has in the stage."""


def wheel(folder: Path, name: str, version: str, code: str) -> Path:
    """Build a wheel of one module."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by-hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
        rows = [f"{file},sha256={encoded(text)},{len(text)}\n" for file, text in files.items()]
        archive.writestr(f"{info}/RECORD", "".join(rows) + f"{info}/RECORD,,\n")
    return path


def encoded(text: str) -> str:
    """A hash as RECORD writes it."""
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


class Shop:
    """A virtual environment with packages of release 1, four besides those with code, and wheels of release 2."""

    def __init__(self, folder: Path, code: dict[str, str]) -> None:
        self.venv = folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", self.venv], check=True)
        names = [*map("p{}".format, range(4)), *code]
        self.one = [wheel(folder, name, "1.0", "new = False\n") for name in names]
        self.two = [wheel(folder, name, "2.0", code.get(name, "new = True\n")) for name in names]
        subprocess.run(self.install(self.one), check=True, capture_output=True)

    def install(self, wheels: list[Path]) -> list[str]:
        """Give the command line that installs wheels."""
        quiet = ("-q", "--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check")
        return [str(self.venv / "bin/pip"), "install", *quiet, *map(str, wheels)]

    def version(self, name: str) -> str:
        """Read which release is installed."""
        (info,) = self.venv.glob(f"lib/python3*/site-packages/{name}-*.dist-info")
        return info.name.removesuffix(".dist-info").rpartition("-")[2]


def checked(backout: Backout, run: str) -> None:
    """Set the check of the environment of this machine."""
    (backout.folder / "backout.toml").write_text(CHECKED.format(run=run.replace("\\", "\\\\").replace('"', '\\"')))


def refused(backout: Backout, *command: str) -> str:
    """Have a command refused by its check; gives the change."""
    document, code = backout.json("run", *SILENT, "--yes", "--", *command)
    assert (code, document["verdict"]["decision"]) == (3, "refuse"), document
    return str(document["change"])


def subjects(document: dict[str, object]) -> list[list[str]]:
    """The atoms of each part, by the last of their names."""
    parts = document["parts"]
    assert isinstance(parts, list)
    return [[atom["subject"].rpartition(":")[2].rpartition("/")[2] for atom in part["atoms"]] for part in parts]


def left_behind(backout: Backout) -> list[str]:
    """Name what trials left in the state folder: in the stage, and stand-ins."""
    folders = [folder for folder in (backout.state, backout.state / "stage") if folder.is_dir()]
    return [name for folder in folders for name in os.listdir(folder) if name.startswith((TRIAL, "shims-"))]


def test_two_packages_that_only_break_together_are_found_and_the_rest_is_applied(
    backout: Backout, tmp_path: Path
) -> None:
    """The case that a person at the terminal gets wrong: each of them alone is fine."""
    shop = Shop(tmp_path, {"left": "new = True\n", "right": "import left\nif left.new: raise RuntimeError('both')\n"})
    checked(backout, f"{shop.venv}/bin/python -B -c 'import left, right'")
    change = refused(backout, *shop.install(shop.two))
    before = picture(shop.venv)
    document, code = backout.json("split", change)
    assert (subjects(document), code) == ([["left", "right"]], 0)
    part = document["parts"][0]
    assert (part["check"], "RuntimeError: both" in part["output"]) == ("check", True)
    assert document["rest"]["counts"] == {"python-package": 4}
    assert difference(before, picture(shop.venv)) == {}
    assert left_behind(backout) == []
    ready = document["rest"]["change"]
    rows = backout.json("log")[0]["changes"]
    assert (rows[0]["id"], rows[0]["split_from"]) == (ready, change)
    assert f"split from {change}" in backout("log").stdout
    assert backout("show", ready).stdout.startswith(f"Change     {ready}  ready, split from {change}\n")
    assert backout("run", "--yes", "--change", ready).returncode == 0
    assert [shop.version(name) for name in ("left", "right", "p0", "p3")] == ["1.0", "1.0", "2.0", "2.0"]
    assert backout("back").returncode == 0
    assert difference(before, picture(shop.venv)) == {}


def test_a_key_and_a_package_that_only_break_together_are_told_in_words(backout: Backout, tmp_path: Path) -> None:
    """Kinds are mixed: what a release no longer takes is set in a file that the same change wrote."""
    conf = backout.folder / "shop.ini"
    conf.write_text("[web]\nworkers = 2\nmode = old\ntimeout = 30\n")
    read = f"import configparser; c = configparser.ConfigParser(); c.read({str(conf)!r})\n"
    shop = Shop(tmp_path, {"engine": read + "if c['web']['mode'] == 'legacy': raise ValueError('no mode legacy')\n"})
    checked(backout, f"{shop.venv}/bin/python -B -c 'import engine'")
    edit = f"sed -i 's/= 2/= 4/; s/old/legacy/; s/30/60/' {conf}"
    change = refused(backout, f"{' '.join(shop.install(shop.two))} && {edit}")
    done = backout("split", change)
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert f"engine 1.0 → 2.0 in {shop.venv} and web.mode old → legacy in {conf} together break" in told, told
    assert 'check "check": no mode legacy' in told
    ready = backout.json("log")[0]["changes"][0]["id"]
    assert f"Next       backout run --change {ready}" in done.stdout
    assert backout("run", "--yes", "--change", ready).returncode == 0
    assert conf.read_text() == "[web]\nworkers = 4\nmode = old\ntimeout = 60\n"
    assert [shop.version(name) for name in ("engine", "p0")] == ["1.0", "2.0"]


def test_a_guilty_file_among_5000_takes_few_trials(backout: Backout) -> None:
    """A tree that was unpacked: a person would not even begin."""
    place = backout.folder / "tree"
    place.mkdir()
    checked(backout, f"! grep -qx broken {place}/f3141")
    change = refused(backout, f"cd {place} && for n in $(seq 5000); do echo $n > f$n; done; echo broken > f3141")
    document, code = backout.json("split", change)
    assert (subjects(document), code) == ([["f3141"]], 0)
    assert document["rest"]["effects"] == 4999
    assert document["trials"] < 60
    assert backout("run", "--yes", "--change", document["rest"]["change"], "--quiet").returncode == 0
    assert len(list(place.iterdir())) == 4999


def test_a_second_part_is_found_and_what_remains_passes(backout: Backout) -> None:
    """Both are told at once, so that nobody stands before the second one tomorrow."""
    place = backout.folder
    checked(backout, f"! cat {place}/* | grep -x bad")
    change = refused(backout, "for n in 1 2 3 4 5 6; do echo good > f$n; done; echo bad > f2; echo bad > f5")
    document, code = backout.json("split", change, "--jobs", "3")
    assert (sorted(subjects(document)), document["rest"]["effects"], code) == ([["f2"], ["f5"]], 4, 0)


def test_a_command_is_rehearsed_refused_and_split_in_one_go(backout: Backout) -> None:
    """`split -- CMD`: nobody needs to run first what is known to break."""
    checked(backout, f"! test -e {backout.folder}/b")
    before = picture(backout.folder)
    document, code = backout.json("split", *SILENT, "--", "touch a; echo --password=hunter2hunter2 > b; echo c > c")
    assert (subjects(document), code) == ([["b"]], 0)
    rows = backout.json("log")[0]["changes"]
    assert [(row["state"], row["split_from"]) for row in rows] == [("refused", document["change"]), ("refused", None)]
    assert "hunter2" not in json.dumps(rows)
    assert difference(before, picture(backout.folder)) == {}
    checked(backout, "true")
    done = backout("split", *SILENT, "--", "echo a > a")
    assert (done.returncode, "No check turned red" in done.stderr) == (1, True)
    assert len(backout.json("log")[0]["changes"]) == 2


def test_a_change_that_stands_is_split_and_the_part_taken_out(backout: Backout) -> None:
    """It was let through by --yes over a check that was red, or the check came later: then the live host is broken."""
    for name in ("a", "b", "c"):
        (backout.folder / name).write_text("old\n")
    document, _ = backout.json("run", *SILENT, "--yes", "--", "for f in a b c; do echo new > $f; done; echo d > d")
    checked(backout, f"! grep -q new {backout.folder}/b")
    told, code = backout.json("split", document["change"])
    assert (subjects(told), told["rest"]["stands"], code) == ([["b"]], True, 0)
    assert "stands as it is" in backout("split", document["change"]).stdout
    assert backout("run", "--yes", "--change", told["rest"]["change"]).returncode == 0
    assert [(backout.folder / name).read_text() for name in "abcd"] == ["new\n", "old\n", "new\n", "d\n"]


def test_a_flaky_check_is_told_with_both_answers(backout: Backout) -> None:
    """Exit 5, and nothing is believed: here what it says depends on a file that is no part of the change."""
    checked(backout, f"! test -e {backout.folder}/b")
    change = refused(backout, "touch a; echo b > b; echo c > c")
    ready = backout.folder / "ready"
    checked(backout, f"! test -e {backout.folder}/b || test -e {ready}")

    def act() -> None:
        """Make it when the second trial has begun: the first, with all of it, is over then."""
        begun: set[str] = set()

        def both() -> bool:
            begun.update(name for name in left_behind(backout) if name.startswith(TRIAL))
            return len(begun) >= 2

        until(both, "the second trial")
        ready.touch()

    with ThreadPoolExecutor() as beside:
        acting = beside.submit(act)
        done = backout("split", change, "--jobs", "1")
        acting.result()
    assert done.returncode == 5, done.stdout + done.stderr
    assert 'Check "check" said two things of the same bits' in done.stdout
    assert re.findall(r"(?m)^  (healthy|unhealthy)", done.stdout) == ["unhealthy", "healthy"]
    assert len(backout.json("log")[0]["changes"]) == 1


@pytest.mark.parametrize(
    ("run", "words"),
    [("true", "passes in a trial with all of change"), ("echo ill; false", "fails without any of change")],
)
def test_a_split_with_nothing_to_find_says_why(backout: Backout, run: str, words: str) -> None:
    """Exit 1: the failure needs what a rehearsal lacks, or the host is unwell without the change."""
    checked(backout, f"! test -e {backout.folder}/b")
    change = refused(backout, "echo a > a; echo b > b")
    checked(backout, run)
    done = backout("split", change)
    assert (done.returncode, words in " ".join(done.stderr.split())) == (1, True), done.stderr
    assert "next:" in done.stderr


def test_what_cannot_be_split_is_told_apart(backout: Backout) -> None:
    """Each in a sentence, with its exit code; never a traceback."""
    checked(backout, f"! test -e {backout.folder}/b")
    change = refused(backout, "echo a > a; echo b > b; echo 4 >> app.conf")
    assert backout("split").returncode == 2
    assert backout("split", change, "--", "true").returncode == 2
    assert "There is no change nobody" in backout("split", "nobody").stderr
    assert "There is no check 'other'" in backout("split", change, "--check", "other").stderr
    (backout.folder / "app.conf").write_text("workers = 8\n")
    moved = backout("split", change)
    assert (moved.returncode, f"{backout.folder}/app.conf" in moved.stderr) == (6, True), moved.stderr
    assert backout("gc", "--older-than", "0s").returncode == 0
    assert "let go by gc" in " ".join(backout("split", change).stderr.split())
    (backout.folder / "backout.toml").write_text('[environments.production]\nhosts = ["local"]\n')
    document, _ = backout.json("run", *SILENT, "--yes", "--", "echo new > new")
    assert "has no checks" in backout("split", document["change"]).stderr
    (backout.folder / "backout.toml").unlink()
    nowhere = backout("split", document["change"]).stderr
    assert "No environment of backout.toml lists this machine" in " ".join(nowhere.split())
    undone, _ = backout.json("back")
    checked(backout, "true")
    assert "is the back-out of" in backout("split", undone["undone"][0]["by"]).stderr
    (backout.folder / "backout.toml").write_text('[environments.both]\nhosts = ["local", "web2.invalid"]\n')
    several = backout("split", "-e", "both", document["change"])
    assert (several.returncode, "works on one" in several.stderr) == (7, True)


def test_one_atom_is_the_answer_at_once(backout: Backout) -> None:
    """One file: there is nothing to search for, and no rest."""
    checked(backout, f"! test -e {backout.folder}/b")
    change = refused(backout, "echo b > b")
    document, code = backout.json("split", change)
    assert (subjects(document), document["rest"], code) == ([["b"]], None, 0)
    assert document["trials"] <= 8  # what carried the file in its folder is an atom, too


def test_when_the_time_is_over_what_is_known_is_told(backout: Backout) -> None:
    """Exit 1, with what the part is among."""
    checked(backout, f"sleep 0.5; ! test -e {backout.folder}/f7")
    change = refused(backout, "for n in $(seq 40); do echo $n > f$n; done")
    done = backout("split", change, "--timeout", "6s")
    assert (done.returncode, "The time was over" in done.stdout) == (1, True), done.stdout + done.stderr
    assert "Among" in done.stdout
    assert left_behind(backout) == []


@pytest.fixture
def slow(backout: Backout) -> Iterator[tuple[Backout, subprocess.Popen[str]]]:
    """Begin a split whose trials take a while, and wait for the first."""
    checked(backout, f"! test -e {backout.folder}/b")
    change = refused(backout, "echo a > a; echo b > b; echo c > c")
    marker = backout.folder / "backout.toml"
    marker.write_text(marker.read_text().replace('run = "', 'run = "sleep 30; ').replace("1s", "40s"))
    with backout.beside("split", change, stdout=subprocess.DEVNULL) as process:
        until(lambda: left_behind(backout), "the first trial")
        yield backout, process


def test_ctrl_c_ends_all_trials_and_leaves_nothing(slow: tuple[Backout, subprocess.Popen[str]]) -> None:
    """Exit 130: nothing was changed, nothing is left, and no process of a trial lives on."""
    backout, process = slow
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert (process.returncode, "Traceback" in said) == (130, False), said
    assert left_behind(backout) == []
    assert len(backout.json("log")[0]["changes"]) == 1


def test_a_host_half_that_is_killed_is_told_and_the_next_split_is_not_disturbed(
    slow: tuple[Backout, subprocess.Popen[str]],
) -> None:
    """The kernel's own last resort: nothing was changed, and what is left goes with the next command."""
    backout, process = slow
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    _, said = process.communicate(timeout=300)
    assert (process.returncode, "ended unexpectedly" in said) == (1, True), said
    assert "Try again" in said
    assert "backout recover" not in said
    checked(backout, f"! test -e {backout.folder}/b")
    change = backout.json("log")[0]["changes"][0]["id"]
    assert subjects(backout.json("split", change)[0]) == [["b"]]


def test_an_ordinary_user_splits_their_own_change() -> None:
    """Without root, in a home of their own."""
    with user_backout() as backout:
        (backout.folder / "backout.toml").write_text(CHECKED.format(run=f"! test -e {backout.folder}/b"))
        shutil.chown(backout.folder / "backout.toml", 61234, 61234)
        change = refused(backout, "for n in a b c d e; do echo $n > $n; done")
        document, code = backout.json("split", change)
        assert (subjects(document), document["rest"]["effects"], code) == ([["b"]], 4, 0)
        assert backout("run", "--yes", "--change", document["rest"]["change"]).returncode == 0
        assert sorted(path.name for path in backout.folder.iterdir()) == ["a", "backout.toml", "c", "d", "e"]
        assert left_behind(backout) == []


@pytest.fixture
def reach() -> Iterator[World]:
    """A host that is reached over ssh, with a check."""
    with world() as made:
        made.add("web1")
        checks = CHECKED.replace('"local"', '"web1"').format(run=f"! test -e {made.folder}/tree/b")
        made.environments(checks)
        (made.folder / "tree").mkdir()
        yield made


def test_a_change_on_another_host_is_split_there(reach: World, web1: Host) -> None:
    """The trials are that host's, over links of their own; the next command leads there."""
    there = ("-e", "production")
    script = f"cd {reach.folder}/tree && for n in a b c d; do echo $n > $n; done"
    document, code = reach.backout.json("run", *there, *SILENT, "--yes", "--", script)
    assert code == 3, document
    done = reach.backout("split", *there, "--jobs", "2", document["change"])
    assert done.returncode == 0, done.stderr
    ready = re.search(r"backout run -e production --change (\S+)\n", done.stdout)
    assert ready is not None, done.stdout
    assert (reach.backout("run", *there, "--yes", "--change", ready[1]).returncode, web1.halves()) == (0, [])
    assert sorted(path.name for path in (reach.folder / "tree").iterdir()) == ["a", "c", "d"]
