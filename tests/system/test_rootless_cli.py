"""The command line without root: what a user may change works end to end; the rest is refused with reasons."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.picture import difference, picture
from kit.user import TEAM, USER, UserBackout, user_backout

SILENT = ("--network", "none")


@pytest.fixture
def backout() -> Iterator[UserBackout]:
    """Give the command line of an ordinary user, with one file in the working folder."""
    with user_backout() as backout:
        backout.sh("echo workers = 2 > app.conf")
        yield backout


def told(done: subprocess.CompletedProcess[str]) -> str:
    """Give all that was said on one line, for a test that says why it failed; nothing is ever a traceback."""
    said = " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in said, done.stderr
    return said


def test_a_users_whole_day_without_root(backout: UserBackout) -> None:
    """Every command works for what is one's own, in a home that lies in a folder of root's."""
    before = picture(backout.folder)
    script = "echo workers = 4 > app.conf; mkdir -p a/b; echo 1 > a/b/c; ln -s a l; chmod 600 app.conf"
    assert backout("rehearse", *SILENT, "--", script).returncode == 0
    assert difference(before, picture(backout.folder)) == {}
    document, code = backout.json("run", *SILENT, "--yes", "--", script)
    assert (code, len(document["effects"])) == (0, 5), document
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in backout.folder.rglob("*")}
    assert owners == {(USER, USER)}
    edited = backout("edit", "app.conf", EDITOR="sed -i s/4/8/", VISUAL="")
    assert edited.returncode == 0, told(edited)
    assert (backout.folder / "app.conf").read_text() == "workers = 8\n"
    assert backout.json("log")[0]["changes"][1]["id"] == document["change"]
    assert backout.json("show", document["change"])[1] == 0
    assert backout("back", document["change"]).returncode == 0
    assert difference(before, picture(backout.folder)) == {}
    assert backout.json("recover")[1] == 0
    assert len(backout.json("gc", "--older-than", "0s")[0]["expired"]) == 4
    assert backout("init").returncode == 0
    assert not (backout.state / "stage").exists()


def test_a_home_below_a_folder_that_nobody_may_list_is_no_obstacle(backout: UserBackout) -> None:
    """As /home is on many hosts: who may go through it finds state, stage and files all the same."""
    backout.home.parent.chmod(0o711)
    document, code = backout.json("run", *SILENT, "--yes", "--", "echo workers = 4 > app.conf")
    assert code == 0, document
    assert (backout.folder / "app.conf").read_text() == "workers = 4\n"
    assert backout.json("back")[1] == 0
    assert (backout.folder / "app.conf").read_text() == "workers = 2\n"


def test_an_open_folder_of_roots_takes_and_gives_back_a_users_file(backout: UserBackout) -> None:
    """/var/tmp is everybody's: its owner and time are not ours to set, and that must not stop anything half-way."""
    name = f"/var/tmp/backout-test-{os.getpid()}"
    status = os.stat("/var/tmp")
    document, code = backout.json("run", *SILENT, "--yes", "--", f"echo 1 > {name}")
    assert code == 0, document
    assert [effect["subject"] for effect in document["effects"]] == [name]
    assert Path(name).read_text() == "1\n"
    assert backout("back").returncode == 0
    assert not Path(name).exists()
    after = os.stat("/var/tmp")
    assert (after.st_uid, after.st_mode) == (status.st_uid, status.st_mode)


@pytest.mark.parametrize("attempt", ["touch /etc/backout-test", "rm /etc/hostname", "chmod 700 /tmp"])
def test_what_the_user_may_not_fails_inside_as_on_the_host(backout: UserBackout, attempt: str) -> None:
    """Programs decide by the answer; and no rehearsal may promise what the host would refuse."""
    live = backout.sh(attempt)
    assert live.returncode != 0
    done = backout("run", *SILENT, "--yes", "--", attempt)
    assert done.returncode in (1, 3), told(done)
    assert Path("/etc/hostname").exists()
    assert oct(os.stat("/tmp").st_mode) == "0o41777"


def _share(backout: UserBackout, script: str) -> None:
    subprocess.run(["sh", "-ec", script], cwd=backout.folder, check=True)


@pytest.mark.parametrize(
    ("arrange", "attempt"),
    [
        ("echo t > team; chown 61234:61300 team", "echo 2 > team"),
        ("echo t > theirs; chown 61235:61235 theirs; chmod 666 theirs", "echo 2 > theirs"),
        ("mkdir d; chown 61234:61300 d; chmod 2775 d; mkdir d/e; chown root d/e", "echo 2 > d/e/../new"),
        ("mkdir d; chown 61235:61300 d; chmod 2777 d; chown 61234:61300 .; chmod 2775 .", "echo 2 > new"),
    ],
    ids=["group-shared", "foreign-owned", "setgid below", "setgid without membership"],
)
def test_what_cannot_be_rehearsed_without_root_is_refused_with_the_reason(
    backout: UserBackout, arrange: str, attempt: str
) -> None:
    """Traps A14: EOVERFLOW, or a wrong group, where the host says yes: exit 3, and the verdict says why."""
    _share(backout, arrange)
    before = picture(backout.folder)
    document, code = backout.json("run", *SILENT, "--yes", "--", attempt)
    reasons = " ".join(reason["what"] for reason in document["verdict"]["reasons"])
    assert (code, document["verdict"]["decision"]) == (3, "refuse"), document
    assert "run backout with sudo" in reasons
    assert difference(before, picture(backout.folder)) == {}


def test_a_setgid_folder_of_the_users_own_group_gives_its_group(tmp_path: Path) -> None:
    """The commonest shared folder, /srv/app of me:www-data with the setgid bit: as on the host."""
    del tmp_path
    with user_backout(groups=f"--groups={TEAM}") as backout:
        _share(backout, f"chown {USER}:{TEAM} .; chmod 2775 .")
        backout.sh("mkdir live; echo 1 > live/f")
        done = backout("run", *SILENT, "--yes", "--", "mkdir made; echo 1 > made/f")
        assert done.returncode == 0, told(done)
        for name in ("", "/f"):
            live, made = (os.lstat(f"{backout.folder}/{folder}{name}") for folder in ("live", "made"))
            assert (made.st_uid, made.st_gid, made.st_mode) == (live.st_uid, live.st_gid, live.st_mode)
        assert backout("back").returncode == 0


def test_a_change_on_another_file_system_is_refused_before_anything_is_applied(backout: UserBackout) -> None:
    """Without root nothing can be staged at a mount's root; nothing is promised that a rename cannot do."""
    place = backout.folder / "memory"
    place.mkdir()
    os.chown(place, USER, USER)
    words = backout.argv(
        "--json", "run", *SILENT, "--yes", "--", f"echo 1 > here; mkdir {place}/mine/d; echo 2 > {place}/mine/f"
    )
    mounting = f"mount -t tmpfs -o size=8m,mode=755 memory {place} && install -d -o {USER} -g {USER} {place}/mine"
    script = mounting + ' && exec "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *words],
        cwd=backout.folder,
        env=backout.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, told(done)
    assert "another file system" in done.stdout
    assert not (backout.folder / "here").exists()


def test_a_virtualenv_is_changed_through_the_package_network(backout: UserBackout) -> None:
    """Pip in a virtualenv of one's own, with the network that packages come through; one effect, not many files."""
    wheel = _wheel(backout.folder)
    made = backout.sh("/usr/bin/python3 -m venv venv")
    assert made.returncode == 0, made.stderr
    command = f"venv/bin/pip install --no-deps --quiet --no-index --find-links {wheel.parent} demo"
    document, code = backout.json("run", "--network", "packages", "--yes", "--", command)
    assert code == 0, document
    packages = [effect for effect in document["effects"] if effect["kind"] == "python-package"]
    assert [effect["subject"] for effect in packages] == [f"{backout.folder}/venv:demo"]
    assert backout.sh("venv/bin/python -c 'import demo'").returncode == 0
    assert backout("back").returncode == 0
    assert backout.sh("venv/bin/python -c 'import demo'").returncode == 1


def _wheel(folder: Path) -> Path:
    """Write a smallest wheel (PEP 427)."""
    import zipfile

    path = folder / "wheels" / "demo-1.0-py3-none-any.whl"
    path.parent.mkdir()
    info = "demo-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("demo.py", "answer = 42\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"demo.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    path.chmod(0o644)
    return path


@pytest.mark.parametrize("attempt", range(6))
def test_a_run_killed_at_any_moment_is_all_old_or_all_new_after_recover(backout: UserBackout, attempt: int) -> None:
    """SIGKILL of the command line and its host half, at a moment of chance: recover, and it is one or the other."""
    script = "for n in 1 2 3 4 5 6 7 8; do echo $n > f$n; done; echo workers = 4 > app.conf"
    before = picture(backout.folder, times=False)
    process = subprocess.Popen(
        backout.argv("run", *SILENT, "--yes", "--", script),
        cwd=backout.folder,
        env=backout.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(random.Random(attempt).uniform(0.1, 0.9))
    for pid in [*_children(process.pid), process.pid]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()
    recovered = backout("recover")
    assert recovered.returncode == 0, told(recovered)
    after = picture(backout.folder, times=False)
    assert after == before or (
        len(list(backout.folder.iterdir())) == 9 and (backout.folder / "f8").read_text() == "8\n"
    )
    states = {change["state"] for change in backout.json("log")[0]["changes"]}
    assert states <= {"kept", "undone"}, states
    assert backout("gc", "--older-than", "0s").returncode == 0
    staged = os.listdir(backout.state / "stage") if (backout.state / "stage").exists() else []
    assert len(staged) == (1 if "kept" in states else 0), staged


def _children(pid: int) -> list[int]:
    """Name all processes below one."""
    try:
        direct = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*direct, *(below for child in direct for below in _children(child))]


def test_a_user_who_renames_a_folder_is_told_why_a_program_failed_and_mv_works(backout: UserBackout) -> None:
    """Without root the kernel keeps no renamed directories in a layer: rename(2) answers EXDEV (traps A2)."""
    backout.sh("mkdir d; echo 1 > d/a")
    failed, code = backout.json("rehearse", *SILENT, "--", 'python3 -c \'import os; os.rename("d", "n")\'')
    assert code == 1, failed
    assert any("EXDEV" in limit for limit in failed["limits"]), failed
    moved, code = backout.json("run", *SILENT, "--yes", "--", "mv d n")
    assert code == 0, moved
    assert (backout.folder / "n/a").read_text() == "1\n"
