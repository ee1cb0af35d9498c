"""Trials of a recorded change: a view with only some of its atoms there, and the rest as a change of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backout.errors import ConflictError, NeedsPersonError, UsageError
from backout.host import checks, rehearse
from backout.host.mounting import tmpfs
from backout.host.sandbox import Sandbox
from backout.host.serve import Host
from backout.lens.meaning import lenses
from kit.cli import Backout
from kit.picture import difference, picture
from kit.trial import half, numbers, recorded, said, seen
from kit.user import USER, user_backout

SILENT = ("--network", "none")
CHANGE = (
    "sed -i 's/workers = 2/workers = 4/; s/timeout = 30/timeout = 5/' app.ini; "
    "echo new > added; rm old; mkdir -p made/deep; echo one > made/one; echo two > made/deep/two; rm -r gone"
)
SHOW = "find . -type f | sort; cat app.ini"


@pytest.fixture
def backout(tmp_path: Path) -> Backout:
    """Give the command line in a folder with a configuration, a file and a folder to lose."""
    backout = Backout(tmp_path)
    (backout.folder / "app.ini").write_text("[web]\nworkers = 2\ntimeout = 30\nname = shop\n")
    (backout.folder / "old").write_text("old\n")
    (backout.folder / "gone/deep").mkdir(parents=True)
    (backout.folder / "gone/deep/one").write_text("1\n")
    (backout.folder / "gone/two").write_text("2\n")
    return backout


def refused(backout: Backout, command: str = CHANGE) -> str:
    """Have a change refused, since nobody says yes to it; give its id."""
    document, code = backout.json("run", *SILENT, "--", command)
    assert code == 3, document
    return recorded(backout.state).change.id


def applied(backout: Backout, command: str = CHANGE) -> str:
    """Apply a change; give its id."""
    document, code = backout.json("run", *SILENT, "--yes", "--", command)
    assert code == 0, document
    return str(document["change"])


def taken_back(backout: Backout, command: str = CHANGE) -> str:
    """Apply a change and take it back; give its id."""
    change = applied(backout, command)
    assert backout("back").returncode == 0
    return change


def recorded_changes(backout: Backout) -> list[str]:
    """Name all changes, oldest first."""
    with half(backout.state) as host:
        return [change["id"] for change in host.changes()]


def in_folder(backout: Backout, command: str) -> str:
    """Give a command that runs in the working folder."""
    return f"cd {backout.folder}; {command}"


@pytest.mark.parametrize("record", [refused, applied, taken_back])
def test_only_the_chosen_atoms_are_there(backout: Backout, record: Callable[[Backout], str]) -> None:
    """Whatever became of the change: of a file its keys, one by one; of folders what is chosen in them."""
    change = record(backout)
    with half(backout.state) as host:
        chosen = numbers(host, change, "#web.workers", "made/one", "gone/two")
        shown = said(host, change, chosen, in_folder(backout, SHOW))
    assert shown == ("./app.ini\n./gone/deep/one\n./made/one\n./old\n[web]\nworkers = 4\ntimeout = 30\nname = shop\n")


@pytest.mark.parametrize("record", [refused, applied, taken_back])
def test_a_trial_leaves_the_host_and_what_is_recorded_as_they_were(
    backout: Backout, record: Callable[[Backout], str]
) -> None:
    """Law 1, for bits that are linked and not copied: what a check writes reaches neither, and no name is left."""
    change = record(backout)
    bits = backout.state / "stage" / change
    before = picture(backout.folder), picture(bits), inodes(backout.folder), inodes(backout.state)
    with half(backout.state) as host:
        everything = range(len(host.acting.atoms(change)["atoms"]))
        command = "for file in app.ini added made/one made/deep/two old; do echo spoilt >> $file; done; cat added"
        shown = said(host, change, everything, in_folder(backout, command))
        said(host, change, [], in_folder(backout, command))
    assert "new\nspoilt\n" in shown
    assert difference(picture(backout.folder), before[0]) == {}
    assert difference(picture(bits), before[1]) == {}
    assert (inodes(backout.folder), inodes(backout.state)) == before[2:]


def inodes(root: Path) -> dict[str, tuple[int, int]]:
    """Give every file's inode, and how many names it has."""
    found = [path for path in root.rglob("*") if not path.is_dir()]
    return {str(path): (path.lstat().st_ino, path.lstat().st_nlink) for path in found}


def test_what_is_recorded_is_linked_and_not_copied(backout: Backout) -> None:
    """A trial of a change of gigabytes costs no gigabytes, and no time for them."""
    change = refused(backout)
    staged = os.stat(next(Path(os.fsdecode(backout.state)).glob(f"stage/{change}/upper/**/added"))).st_ino
    with half(backout.state) as host:
        shown = said(host, change, numbers(host, change, "/added"), f"stat -c %i {backout.folder}/added")
    assert shown == f"{staged}\n"


@pytest.mark.parametrize("record", [refused, applied, taken_back])
def test_the_host_moved_on_where_the_composition_needs_it(backout: Backout, record: Callable[[Backout], str]) -> None:
    """Then it is no trial of the change any more; elsewhere it does not matter (exit 6, law 4)."""
    change = record(backout)
    (backout.folder / "added").write_text("somebody's\n")
    with half(backout.state) as host:
        number = numbers(host, change, "/added")
        others = [n for n in range(len(host.acting.atoms(change)["atoms"])) if n not in number]
        needed, needless = (others, [*others, *number]) if record is applied else (number, others)
        with pytest.raises(ConflictError) as caught:
            host.acting.trial(change, needed, [])
        assert [row["path"] for row in caught.value.conflicts] == [str(backout.folder / "added")]
        assert host.acting.trial(change, needless, [])["results"] == []
    assert (backout.folder / "added").read_text() == "somebody's\n"


def whole(host: Host, change: str, command: str, *, there: bool) -> tuple[str, int]:
    """What a command says in a view with all or none of a change, and how many paths moved on."""
    check = {"name": "said", "run": f"{{ {command}; }} 2>&1; true", "within_s": 60}
    answer = host.acting.whole(change, [check], there=there)
    return answer["results"][0]["output"], answer["moved"]


@pytest.mark.parametrize("record", [refused, taken_back, applied])
def test_the_whole_of_a_change_is_seen_over_a_host_that_moved_on(
    backout: Backout, record: Callable[[Backout], str]
) -> None:
    """A check that is written the day after is shown what it would have seen: nothing is parted, nothing is live."""
    change = record(backout)
    (backout.folder / "app.ini").write_text("[web]\nworkers = 8\n")
    (backout.folder / "added").write_text("newer\n")
    (backout.folder / "later").write_text("later\n")
    before = picture(backout.folder)
    show = in_folder(backout, "cat app.ini added later; ls made old")
    with half(backout.state) as host:
        (all_of_it, moved), (none, same) = (whole(host, change, show, there=there) for there in (True, False))
    assert "later\n" in all_of_it and "later\n" in none  # noqa: PT018 - each is told by the other
    if record is applied:  # what is live is what it became
        assert ("workers = 8" in all_of_it, moved) == (True, 0)
        assert ("workers = 2" in none, "newer" in none, "old" in none, same) == (True, False, True, 2)
    else:
        assert ("workers = 4" in all_of_it, "new\n" in all_of_it, "deep" in all_of_it, moved) == (True, True, True, 2)
        assert ("workers = 8" in none, "newer" in none, same) == (True, True, 0)
    assert difference(before, picture(backout.folder)) == {}


def test_where_the_whole_of_a_change_has_no_place_any_more_is_named(backout: Backout) -> None:
    """Its folder became a file: what the change did there cannot be seen."""
    change = refused(backout, "echo 1 > gone/deep/new")
    shutil.rmtree(backout.folder / "gone")
    (backout.folder / "gone").write_text("a file\n")
    with half(backout.state) as host, pytest.raises(ConflictError):
        whole(host, change, "true", there=True)


def test_a_shared_file_that_moved_on_cannot_be_parted(backout: Backout) -> None:
    """Atoms that are cut along another content than the recorded one would be others."""
    change = refused(backout)
    (backout.folder / "app.ini").write_text("[web]\nworkers = 3\n")
    with half(backout.state) as host, pytest.raises(ConflictError, match=r"app\.ini: it was changed"):
        host.acting.atoms(change)


def test_what_has_no_bits_cannot_be_tried(backout: Backout) -> None:
    """A back-out has those of the change that it took back; gc lets bits go; of an unknown change there are none."""
    change = applied(backout)
    assert backout("back").returncode == 0
    back = recorded_changes(backout)[-1]
    with half(backout.state) as host:
        with pytest.raises(UsageError, match="back-out"):
            host.acting.trial(back, [], [])
        with pytest.raises(UsageError, match="no change"):
            host.acting.atoms("20200101-000000-xxx")
        with pytest.raises(UsageError, match="there is none 99"):
            host.acting.trial(change, [99], [])
    assert backout("gc", "--older-than", "0s").returncode == 0
    with half(backout.state) as host, pytest.raises(UsageError, match="gc let its bits go"):
        host.acting.trial(change, [], [])


def test_a_record_that_does_not_fit_together_is_named(backout: Backout) -> None:
    """Effects of paths that the change did not touch: a person has to look, and nothing is tried by halves (exit 5)."""
    change = refused(backout)
    path = backout.state / "changes" / change / "effects.json"
    document = json.loads(path.read_text())
    document["effects"][0]["paths"] = ["/etc/elsewhere"]
    path.write_text(json.dumps(document))
    with half(backout.state) as host, pytest.raises(NeedsPersonError, match=r"damaged: .*effects\.json"):
        host.acting.atoms(change)


def test_the_rest_of_a_change_is_one_of_its_own(backout: Backout) -> None:
    """Recorded as ready, it is applied like any other by its id, and taken back."""
    before = picture(backout.folder)
    change = refused(backout)
    record(backout, change, "rest", "#web.workers", "made/one", "gone/two")
    done, code = backout.json("run", "--yes", "--change", "rest")
    assert code == 0, done
    assert (backout.folder / "app.ini").read_text() == "[web]\nworkers = 4\ntimeout = 30\nname = shop\n"
    assert sorted(str(p.relative_to(backout.folder)) for p in backout.folder.rglob("*") if p.is_file()) == [
        "app.ini",
        "gone/deep/one",
        "made/one",
        "old",
    ]
    assert backout("back").returncode == 0
    assert difference(picture(backout.folder), before) == {}


def record(backout: Backout, change: str, new: str, *subjects: str) -> dict[str, Any]:
    """Compose a change of some atoms, and record it as refused; gives its document."""
    heard: list[dict[str, Any]] = []
    host = Host(heard.append, os.fsencode(backout.state))
    try:
        answer = host.acting.compose(change, numbers(host, change, *subjects), new, [])
        assert (answer["moved"], answer["obstacles"]) == ({}, [])
        effects = [row for message in heard for row in message.get("effects", ())]
        reasons: list[Any] = []
        judged = {"expected": [None] * len(effects), "verdict": {"decision": "refuse", "reasons": reasons}}
        host.acting.refuse(new, {}, {**answer["document"], **judged})
    finally:
        host.end()
    return {**answer["document"], "effects": effects}


def test_the_rest_of_a_change_that_stands_takes_the_others_back(backout: Backout) -> None:
    """Of a site that is broken already the guilty part is taken out, and the rest stays."""
    change = applied(backout)
    with half(backout.state) as host:
        everything = host.acting.atoms(change)["atoms"]
    subjects = [atom["subject"] for atom in everything if atom["subject"] and "timeout" not in atom["subject"]]
    document = record(backout, change, "rest", *subjects)
    assert [(e["kind"], e["before"], e["after"]) for e in document["effects"]] == [("config", "5", "30")]
    assert document["command"] == [CHANGE]
    done, code = backout.json("run", "--yes", "--change", "rest")
    assert code == 0, done
    assert (backout.folder / "app.ini").read_text() == "[web]\nworkers = 4\ntimeout = 30\nname = shop\n"
    assert (backout.folder / "added").exists()


def test_what_is_composed_shares_no_file_with_the_change_that_it_is_from(backout: Backout) -> None:
    """Once applied it is written to by programs: that must not reach what is kept of the other change."""
    change = refused(backout)
    record(backout, change, "rest", "/added")
    assert backout.json("run", "--yes", "--change", "rest")[1] == 0
    with (backout.folder / "added").open("a") as file:
        file.write("written in place\n")
    assert [p.read_text() for p in backout.state.glob(f"stage/{change}/upper/**/added")] == ["new\n"]


def test_the_checks_judge_a_trial_and_their_application_is_started_inside(backout: Backout) -> None:
    """The oracle of split: as in a rehearsal, the application is that of the view."""
    change = refused(backout)
    server = f"cd {backout.folder} && exec {sys.executable} -m http.server 18765 --bind 127.0.0.1"
    check = {"name": "old is served", "http": "http://127.0.0.1:1/", "start": server, "within_s": 20}
    check["rehearsal_http"] = "http://127.0.0.1:18765/old"
    with half(backout.state) as host:
        (without,) = host.acting.trial(change, [], [check])["results"]
        short = {**check, "within_s": 3}
        (removed,) = host.acting.trial(change, numbers(host, change, "/old"), [short])["results"]
    assert (without["result"], without["where"]) == ("healthy", "rehearsal")
    assert removed["result"] == "unhealthy"
    assert removed["output"].startswith("404")


def forked(act: Callable[[], object]) -> int:
    """Start a function in a process of its own, which Ctrl-C ends as it does a host half."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            act()
            code = 0
        except KeyboardInterrupt:
            code = 130
        finally:
            os._exit(code)
    return child


def wait_for(path: Path, within_s: float = 300) -> None:
    """Wait until something is there."""
    until = time.monotonic() + within_s
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_trial_that_is_ended_leaves_nothing(backout: Backout, number: int, processes_with: Any) -> None:
    """Ctrl-C: at once, and all is as before. A SIGKILL leaves only what gc removes."""
    change = refused(backout)
    bits = backout.state / "stage" / change
    before = picture(backout.folder), picture(bits)
    word = f"split-{os.getpid()}-{int(number)}"

    def trial() -> None:
        with half(backout.state) as host:
            everything = range(len(host.acting.atoms(change)["atoms"]))
            check = {"name": "long", "run": f"exec sleep 1000 {word}", "within_s": 1000}
            check["run"] = f"sh -c 'sleep 1000; : {word}'"
            host.acting.trial(change, list(everything), [check])

    child = forked(trial)
    until = time.monotonic() + 300
    while not processes_with(word) and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(child, number)
    status = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(status) == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    while processes_with(word) and time.monotonic() < until:
        time.sleep(0.02)
    assert processes_with(word) == []
    if number == signal.SIGKILL:
        left = [path.name for path in (backout.state / "stage").iterdir() if path.name != change]
        assert len(left) == 1
        assert backout("gc").returncode == 0
    assert difference(picture(backout.folder), before[0]) == {}
    assert difference(picture(bits), before[1]) == {}
    assert os.listdir(backout.state / "stage") == [change]
    assert [path.name for path in backout.state.iterdir() if path.name.startswith("shims-")] == []


def test_two_host_halves_try_at_the_same_time(backout: Backout, tmp_path: Path) -> None:
    """Split runs as many trials at once as there are processors; none sees what another one has."""
    change = refused(backout)
    rounds = 6

    def trials(subject: str, told: Path) -> None:
        with half(backout.state) as host:
            chosen = numbers(host, change, subject)
            shown = [said(host, change, chosen, in_folder(backout, "find . -type f | sort")) for _ in range(rounds)]
        told.write_text(json.dumps(shown))

    children = [
        forked(lambda: trials("/added", tmp_path / "one")),
        forked(lambda: trials("made/deep/two", tmp_path / "other")),
    ]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    there = ["./app.ini", "./gone/deep/one", "./gone/two", "./old"]
    one, other = (json.loads((tmp_path / name).read_text()) for name in ("one", "other"))
    assert one == ["\n".join(sorted([*there, "./added"])) + "\n"] * rounds
    assert other == ["\n".join(sorted([*there, "./made/deep/two"])) + "\n"] * rounds
    assert sorted(os.listdir(backout.state / "stage")) == [change]


def test_many_trials_of_one_host_half_hold_nothing(backout: Backout) -> None:
    """A search takes hundreds: a descriptor that each leaves open would end it."""
    change = refused(backout)
    with half(backout.state) as host:
        host.acting.trial(change, [0], [])
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            host.acting.trial(change, [0], [])
        assert len(os.listdir("/proc/self/fd")) <= before


def test_several_mounts_have_each_their_part(place: Any, in_child: Any) -> None:
    """Bits lie on the mount that they are for, so that they can be linked there (traps A4)."""
    os.mkdir(place.path("memory"))
    backout = Backout(Path(place.root))

    def inside() -> Any:
        tmpfs(os.fsencode(place.path("memory")), b"size=8m")
        (backout.folder / "here").write_text("1\n")
        Path(place.path("memory/there")).write_text("1\n")
        command = f"echo 2 > here; echo 2 > {place.path('memory/there')}; echo 2 > {place.path('memory/new')}"
        change = refused(backout, command)
        show = in_folder(backout, f"cat here; cd {place.path('memory')}; grep -H . *")
        with half(backout.state) as host:
            shown = [said(host, change, numbers(host, change, name), show) for name in ("/here", "/there")]
        return [*shown, os.listdir(place.path("memory/.backout")) == [change]]

    assert in_child(inside, own_mounts=True) == ["2\nthere:1\n", "1\nthere:2\n", True]


def test_without_root_as_far_as_rehearsals_go(in_child: Any) -> None:
    """In a user namespace, as the own user (traps A14)."""
    with user_backout() as backout:
        backout.sh("echo '[a]' > app.ini; echo 'x = 1' >> app.ini; echo 'y = 1' >> app.ini; mkdir d; echo 1 > d/f")
        script = "sed -i 's/1/2/' app.ini; rm -r d; mkdir d; echo 2 > d/g; ln -s d l"
        assert backout("run", *SILENT, "--", script).returncode == 3

        with half(backout.state) as early:  # imported while the checkout can still be read
            assert hasattr(early, "acting")
            assert [checks.run_checks, rehearse.rehearse, recorded, Sandbox, *lenses()]

        def inside() -> Any:
            os.environ["HOME"] = str(backout.home)
            with half(backout.state) as host:
                change = host.changes()[-1]["id"]
                show = in_folder(backout, "cat app.ini; find . | sort")
                atoms = host.acting.atoms(change)["atoms"]
                whole = said(host, change, range(len(atoms)), show)
                return [whole, said(host, change, numbers(host, change, "#a.x", "/l"), show)]

        whole, some = in_child(inside, uid=USER)
    assert whole == "[a]\nx = 2\ny = 2\n.\n./app.ini\n./d\n./d/g\n./l\n"
    assert some == "[a]\nx = 2\ny = 1\n.\n./app.ini\n./d\n./d/f\n./l\n"


def package(folder: Path, name: str, version: str) -> Path:
    """Build a Debian package with one file."""
    root = folder / f"{name}_{version}"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\n"
        "Description: a package of a test\n"
    )
    (root / f"usr/share/{name}").mkdir(parents=True)
    (root / f"usr/share/{name}/data").write_text(f"{version}\n")
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", root, folder], check=True, capture_output=True)
    return folder / f"{name}_{version}_all.deb"


def test_of_two_debian_packages_one_is_there(backout: Backout, tmp_path: Path) -> None:
    """They share dpkg's status file, which is parted by its stanzas; dpkg itself reads what comes of it."""
    debs = [package(tmp_path, f"backout-test-{name}", "1.0") for name in ("one", "two")]
    change = refused(backout, f"dpkg --force-unsafe-io -i {debs[0]} {debs[1]}")
    show = "dpkg-query -f '${Package} ${Status}\\n' -W 'backout-test-*'; ls -d /usr/share/backout-test-*; "
    show += "dpkg --verify backout-test-two && dpkg --audit"
    with half(backout.state) as host:
        atoms = host.acting.atoms(change)["atoms"]
        assert [a["subject"] for a in atoms if a["kind"] == "debian-package"] == [
            "backout-test-one",
            "backout-test-two",
        ]
        shown = said(host, change, numbers(host, change, "-two"), show)
    assert shown == "backout-test-two install ok installed\n/usr/share/backout-test-two\n"


def distribution(folder: Path, name: str, version: str, content: str) -> Path:
    """Build a wheel with one module in a folder of its own (PEP 427)."""
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    about = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {
        content: f"version = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": about,
    }
    hashes = {name: urlsafe_b64encode(hashlib.sha256(text.encode()).digest()) for name, text in files.items()}
    rows = [f"{name},sha256={digest.rstrip(b'=').decode()},\n" for name, digest in hashes.items()]
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
        archive.writestr(f"{info}/RECORD", "".join(rows) + f"{info}/RECORD,,\n")
    return path


def test_a_package_whose_folder_goes_is_gone_with_its_byte_code(backout: Backout, tmp_path: Path) -> None:
    """As setuptools lost pkg_resources: a folder of byte code alone would still be imported, as an empty package."""
    wheels = [
        distribution(tmp_path, name, version, content)
        for name in ("spam", "eggs")
        for version, content in (("1.0", f"{name}/__init__.py"), ("2.0", f"{name}_two/__init__.py"))
    ]
    assert len(wheels) == 4
    subprocess.run([sys.executable, "-m", "venv", backout.folder / "venv"], check=True)
    pip = ["venv/bin/python", "-m", "pip", "install", "--no-index", "--quiet", "--find-links", str(tmp_path)]
    subprocess.run([*pip, "spam==1.0", "eggs==1.0"], check=True, cwd=backout.folder)
    subprocess.run(["venv/bin/python", "-c", "import spam, eggs"], check=True, cwd=backout.folder)
    change = refused(backout, " ".join([*pip, "spam==2.0", "eggs==2.0"]))
    show = 'for name in spam spam_two eggs eggs_two; do venv/bin/python -B -c "import $name" 2>&1 | tail -n 1; done'
    with half(backout.state) as host:
        shown = said(host, change, numbers(host, change, "venv:spam"), in_folder(backout, show))
    assert shown.splitlines() == [f"ModuleNotFoundError: No module named '{name}'" for name in ("spam", "eggs_two")]
    whole = recorded(backout.state, change)
    chosen = [n for n, atom in enumerate(whole.atoms) if atom.subject.endswith(("venv:spam", "venv:eggs"))]
    tree = seen(backout.state, whole, chosen, backout.folder / "venv")
    assert not [path for path in tree if path.endswith((b"/spam", b"/eggs"))]
