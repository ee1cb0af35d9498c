"""Guards through the command line, with real rehearsals: what is refused, why, and what becomes of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from backout import bootstrap
from kit.cli import Backout

HERE = '[environments.production]\nhosts = ["local"]\n[environments.staging]\nhosts = ["web2"]\n'
WHY = 'why = "it went wrong once"\n'
FORBID = f'[[guards]]\nrule = "forbid"\nwhat = ["file:*/kept"]\noverride = true\n{WHY}'


@pytest.fixture
def backout(tmp_path: Path) -> Backout:
    """The command line, in a folder of its own."""
    return Backout(tmp_path)


def configure(backout: Backout, *guards: str) -> None:
    """Write a configuration with these guards, each without its brackets and its why."""
    rows = (f"[[guards]]\n{guard}\n{'' if 'why =' in guard else WHY}" for guard in guards)
    (backout.folder / "backout.toml").write_text(HERE + "".join(rows))


def refused(backout: Backout, *words: str) -> list[str]:
    """What guards refuse in a rehearsal, which exits as `run` does, and the run changes nothing."""
    document, code = backout.json("rehearse", *words)
    again, same = backout.json("run", "--yes", *words)
    rows = document.get("guards", [])
    assert (code, same) == ((3, 3) if rows else (0, 0))
    assert [row["reasons"] for row in again.get("guards", [])] == [row["reasons"] for row in rows]
    assert all(row["outcome"] == "refused" for row in rows)
    return [reason for row in rows for reason in row["reasons"]]


def test_a_guard_refuses_and_an_override_passes_it_and_stays_on_record(backout: Backout) -> None:
    """Whoever passed a guard, why, and what it had said is there to be read as long as the record is."""
    configure(backout, 'rule = "forbid"\nwhat = ["file:*/kept"]\noverride = true')
    command = ("--", "echo 1 > kept")
    document, code = backout.json("run", "--yes", *command)
    assert code == 3
    assert not (backout.folder / "kept").exists()
    (reason,) = document["verdict"]["reasons"]
    assert reason["what"].startswith("Guard forbid: 1 effect on what is forbidden: file:")
    assert reason["what"].endswith("It guards because of: it went wrong once")
    assert "--override forbid --why TEXT" in reason["next"]
    passing = ("--override", "forbid", "--why", "the client waits")
    assert backout.json("rehearse", *passing, *command)[1] == 0
    document, code = backout.json("run", "--yes", *passing, *command)
    assert code == 0
    assert (backout.folder / "kept").read_text() == "1\n"
    assert [(row["name"], row["outcome"]) for row in document["guards"]] == [("forbid", "overridden")]
    assert backout("gc", "--older-than", "0s", "--standing").returncode == 0
    assert "overrode forbid · the client waits" in backout("log").stdout
    shown = backout("show", document["change"]).stdout
    assert "forbid overridden: 1 effect on what is forbidden" in shown
    assert "the client waits" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--override", "forbid"), 2, "An override needs a reason"),
        (("--override", "forbit", "--why", "x"), 2, 'Did you mean "forbid"?'),
        (("--override", "reversible", "--why", "x"), 3, "Guard reversible may not be overridden: it went wrong once"),
        (("--override", "elsewhere", "--why", "x"), 2, "elsewhere does not judge changes of production."),
    ],
)
def test_an_override_that_passes_nothing_is_told_before_anything_is_run(
    backout: Backout, words: tuple[str, ...], code: int, said: str
) -> None:
    """Nobody waits for a rehearsal to learn that a name was misspelt."""
    elsewhere = 'name = "elsewhere"\nrule = "checked"\nenvironments = ["staging"]'
    configure(backout, 'rule = "forbid"\nwhat = ["user:*"]\noverride = true', 'rule = "reversible"', elsewhere)
    for verb in ("run", "rehearse"):
        done = backout(verb, *words, "--", "touch new")
        assert done.returncode == code
        assert said in done.stderr
    assert backout("edit", *words, "new", EDITOR="touch").returncode == code
    assert not (backout.folder / "new").exists()


def test_guards_of_another_environment_and_changes_that_do_nothing_are_left_alone(backout: Backout) -> None:
    """A guard for staging is none for production; and a puppet run that finds all as it should be is none to refuse."""
    configure(backout, 'rule = "expected-only"\nenvironments = ["staging"]')
    assert refused(backout, "--", "echo 1 > one") == []
    configure(backout, 'rule = "expected-only"')
    assert refused(backout, "--", "true") == []
    (told,) = refused(backout, "--", "echo 1 > two")
    assert told.startswith("no --expect covers 1 of 1 effect: file:")
    assert refused(backout, "--expect", "file:*", "--", "echo 1 > two") == []


def test_an_edit_is_judged_and_taking_back_and_recovering_never_are(backout: Backout) -> None:
    """Whoever takes back is in trouble already (design, "Checks and rescue")."""
    (backout.folder / "kept").write_text("before\n")
    document, code = backout.json("run", "--yes", "--", "echo after > kept")
    assert code == 0
    configure(backout, 'rule = "forbid"\nwhat = ["*:*"]', 'rule = "command"\nrun = "exit 3"')
    done = backout("edit", "--yes", "kept", EDITOR="sh -c 'echo edited > $1' edit")
    assert done.returncode == 3
    assert (backout.folder / "kept").read_text() == "after\n"
    assert backout("back").returncode == 0
    assert (backout.folder / "kept").read_text() == "before\n"
    assert backout("recover").returncode == 0
    again, code = backout.json("run", "--yes", "--change", document["change"])
    assert code == 3
    assert [row["name"] for row in again["guards"]] == ["forbid", "command"]


def test_reversible_and_checked(backout: Backout) -> None:
    """What runs live after the apply, and what nobody looks at."""
    configure(backout, 'rule = "reversible"')
    document, code = backout.json("run", "--yes", "--after", "touch later", "--", "echo 1 > one")
    assert code == 3
    assert "a command runs live after the apply" in document["guards"][0]["reasons"][0]
    assert not (backout.folder / "later").exists()
    configure(backout, 'rule = "checked"')
    (told,) = refused(backout, "--expect", "file:*", "--", "echo 1 > one")
    assert told.startswith("nobody is asked, and production has no check.")
    document, code = backout.json("rehearse", "--", "echo 1 > one")
    assert (code, document["verdict"]["decision"]) == (0, "ask")
    check = '[[environments.production.checks]]\nname = "c"\nrun = "true"\nwithin = "1s"\n'
    with (backout.folder / "backout.toml").open("a") as file:
        file.write(check)
    assert refused(backout, "--expect", "file:*", "--", "echo 1 > one") == []


def test_a_window_in_another_zone_is_judged_by_the_clock_there(backout: Backout) -> None:
    """Twelve o'clock in UTC is tomorrow in Auckland's summer."""
    now = datetime.now(ZoneInfo("Pacific/Auckland"))
    day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[now.weekday()]
    others = [name for name in ("mon", "tue", "wed", "thu", "fri", "sat", "sun") if name != day]
    window = 'rule = "window"\nhours = "00:00-24:00"\nzone = "Pacific/Auckland"\ndays = {}'
    configure(backout, window.format(json.dumps(others)))
    (told,) = refused(backout, "--", "echo 1 > one")
    assert told.startswith(f"it is {now:%a %Y-%m-%d} ")
    assert " in Pacific/Auckland, outside of " in told
    configure(backout, window.format(json.dumps([day, others[0]])))
    assert refused(backout, "--", "echo 1 > one") == []


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("kill -SEGV $$", "its program was killed by SIGSEGV."),
        ("sleep 60", "its program gave no answer within 0.5 s."),
        ("./not-there", "its program is not there (exit code 127)."),
        ("./backout.toml", "its program is not executable (exit code 126)."),
        ("head -c 300 /dev/urandom; exit 1", "its program exited 1, which is no answer"),
        ("exit 3", "its program refused without a word."),
        ("exit 0", None),
    ],
)
def test_a_program_refuses_however_it_ends_but_with_0(backout: Backout, run: str, said: str | None) -> None:
    """Law 7, fail closed: a policy that gave no answer has let nothing through."""
    within = "0.5s" if run == "sleep 60" else "60s"
    configure(backout, f'rule = "command"\nrun = \'{run}\'\nwithin = "{within}"')
    document, code = backout.json("run", "--yes", "--", "echo 1 > one")
    assert code == (3 if said else 0)
    assert (backout.folder / "one").exists() == (said is None)
    if said:
        assert document["guards"][0]["reasons"][0].startswith(said)
        shown = backout("rehearse", "--", "echo 1 > one").stdout
        assert "Guard command: its program" in shown


def test_a_recorded_change_is_judged_by_its_own_bits(backout: Backout) -> None:
    """`run --change` applies what lies in the stage: what is live says nothing of it."""
    requirements = backout.folder / "requirements.txt"
    configure(backout, f'rule = "pinned"\nrequirements = ["{requirements}"]\noverride = true')
    command = ("--", "mkdir new; echo 'flask>=2' > new/r.txt; ln -s new/r.txt requirements.txt")
    document, code = backout.json("run", "--yes", *command)
    (told,) = document["guards"][0]["reasons"]
    assert (code, requirements.exists()) == (3, False)
    assert told.startswith(f"1 requirement without == or a hash: flask>=2 in {requirements}.")
    again, code = backout.json("run", "--yes", "--change", document["change"])
    assert (code, again["guards"]) == (3, document["guards"])
    passing = ("--override", "pinned", "--why", "only this once")
    applied, code = backout.json("run", "--yes", *passing, "--change", document["change"])
    assert (code, requirements.read_text()) == (0, "flask>=2\n")
    shown, _ = backout.json("show", applied["change"])
    assert [row["outcome"] for row in shown["guards"]] == ["overridden"]
    refused_first, _ = backout.json("show", document["change"])
    assert [row["outcome"] for row in refused_first["guards"]] == ["refused"]


def test_a_program_reads_the_effects_document_and_its_secrets_are_masked(backout: Backout) -> None:
    """It decides by what a person would read, and what it says is recorded."""
    policy = (
        "import json, sys\nread = json.load(sys.stdin)\nsubjects = [e['subject'] for e in read['effects']]\n"
        "print(read['schema'], read['environment'], subjects, 'password=hunter2')\nsys.exit(3)\n"
    )
    (backout.folder / "policy.py").write_text(policy)
    configure(backout, f'rule = "command"\nrun = "{sys.executable} policy.py"')
    (told,) = refused(backout, "--", "echo 1 > one")
    assert told.startswith(f"backout.effects/1 production ['{backout.folder}/one'] password=")
    assert "hunter2" not in told


def test_while_an_incident_is_open_here_guards_warn_and_elsewhere_they_refuse(backout: Backout) -> None:
    """A rule for quiet days must not stop whoever repairs a site that is down, but does stop the rest of us."""
    configure(backout, 'rule = "forbid"\nwhat = ["file:*"]', 'rule = "no-open-incident"')
    tell(backout, "production", "open")
    document, code = backout.json("run", "--yes", "--why", "mend it", "--", "echo 1 > one")
    assert code == 0
    assert [(row["name"], row["outcome"]) for row in document["guards"]] == [("forbid", "warned")]
    assert "warned by forbid · mend it" in backout("log").stdout
    assert "forbid warned: 1 effect on what is forbidden" in backout("show", document["change"]).stdout
    tell(backout, "production", "resolved")
    tell(backout, "staging", "open")
    told = refused(backout, "--", "echo 2 > one")
    assert told[1].startswith("an incident is open: i1 on staging.")
    tell(backout, "staging", "resolved")
    assert len(refused(backout, "--", "echo 2 > one")) == 1


def tell(backout: Backout, environment: str, state: str) -> None:
    """Tell the journal of an incident."""
    journal = bootstrap.journal(backout.environ)
    body = {"id": "i1", "environment": environment, "state": state}
    journal.append(at=time.time(), actor="ops", type="incident", body=body)
    journal.close()


class Site:
    """A virtualenv with a package in it, and wheels of other versions: pip is real, no index is asked."""

    def __init__(self, backout: Backout) -> None:
        self.backout = backout
        self.wheels = backout.folder / "wheels"
        self.wheels.mkdir()
        for name, version in (("demo", "65.5.0"), ("demo", "66.0.0"), ("demo", "65.6.0"), ("other", "1.0")):
            subprocess.run([sys.executable, "-c", WHEEL, self.wheels, name, version, "hello"], check=True)
        self.venv = backout.folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", self.venv], check=True)
        self.requirements = backout.folder / "requirements.txt"
        self.pip("demo==65.5.0", check=True)

    def pip(self, *words: str, check: bool = False) -> str:
        """Give the line that installs, or run it."""
        line = f"venv/bin/pip install -q --disable-pip-version-check --no-index --find-links wheels {' '.join(words)}"
        if check:
            subprocess.run(["sh", "-c", line], cwd=self.backout.folder, check=True)
        return line


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """One virtualenv for all: nothing of it is changed but in rehearsals."""
    return Site(Backout(tmp_path_factory.mktemp("site")))


WHEEL = """
import base64, hashlib, sys, zipfile
folder, name, version, said = sys.argv[1:]
info = f"{name}-{version}.dist-info"
files = {
    f"{name}.py": f"SAID = '{said}'",
    f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n",
    f"{info}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
}
hashes = {at: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()) for at, text in files.items()}
record = [f"{at},sha256={hashed.decode().rstrip('=')},{len(files[at])}" for at, hashed in hashes.items()]
with zipfile.ZipFile(f"{folder}/{name}-{version}-py3-none-any.whl", "w") as file:
    for at, text in {**files, f"{info}/RECORD": "\\n".join([*record, f"{info}/RECORD,,\\n"])}.items():
        file.writestr(at, text)
"""
"""Writes a smallest wheel (PEP 427)."""


def rehearsed(site: Site, *words: str) -> list[str]:
    """What guards refuse of a rehearsal."""
    document, code = site.backout.json("rehearse", *words)
    rows: list[dict[str, Any]] = document.get("guards", [])
    assert code == (3 if rows else 0), document["verdict"]
    return [reason.partition(" It guards")[0] for row in rows for reason in row["reasons"]]


def test_a_real_pip_install_that_jumps_is_refused_unless_it_was_asked_for(made: Site) -> None:
    """The story: setuptools went from 65 to a release without pkg_resources, and nobody had asked for it."""
    configure(made.backout, 'rule = "max-jump"')
    upgrade = ("--", made.pip("-U", "demo"))
    assert rehearsed(made, *upgrade) == ["a package crosses a major version: demo 65.5.0 -> 66.0.0."]
    covering = ("--expect", "python-package:*", "--expect", "file:*")
    assert len(rehearsed(made, *covering, *upgrade)) == 1
    assert rehearsed(made, *covering, "--expect", "python-package:demo", *upgrade) == []
    assert rehearsed(made, "--", made.pip("demo==65.6.0")) == []


def test_a_real_pip_install_of_more_packages_than_are_looked_through_is_refused(made: Site) -> None:
    """45 packages came with one setting."""
    configure(made.backout, 'rule = "max-effects"\nmost = { python-package = 1 }')
    (told,) = rehearsed(made, "--", made.pip("demo==65.6.0", "other"))
    assert told.startswith("2 python-package effects, where 1 are allowed: python-package:")
    assert rehearsed(made, "--", made.pip("demo==65.6.0")) == []


def test_a_real_pip_install_must_be_pinned_in_the_files_as_the_change_leaves_them(made: Site) -> None:
    """The command writes the file itself: what counts is what it will be, not what it is."""
    configure(made.backout, f'rule = "pinned"\nrequirements = ["{made.requirements}"]')
    made.requirements.write_text("demo\n")
    install = made.pip("-r requirements.txt")
    floats = f"1 requirement without == or a hash: demo in {made.requirements}."
    assert rehearsed(made, "--", made.pip("-U -r requirements.txt")) == [floats]
    assert rehearsed(made, "--", f"echo demo==65.6.0 > requirements.txt; {install}") == []
    foreign = rehearsed(made, "--", f"echo demo==65.6.0 > requirements.txt; {install}; {made.pip('other')}")
    assert foreign == ["1 requirement without == or a hash: other."]
    made.requirements.write_text("-r more.txt\ndemo==65.6.0\n")
    told = rehearsed(made, "--", f"printf other > more.txt; {install}; rm more.txt")
    assert told[0] == f"1 requirements file cannot be read: more.txt in {made.requirements}."
    assert told[1:] == ["1 package from where nothing is known of: other 1.0."]
    assert rehearsed(made, "--", f"printf other==1.0 > more.txt; {install}") == []


def test_what_a_second_rehearsal_made_otherwise_is_not_pinned(made: Site) -> None:
    """`--twice` is the proof; == alone says nothing of the bits."""
    configure(made.backout, 'rule = "pinned"')
    (made.backout.folder / "wheel.py").write_text(WHEEL)
    again = f"rm wheels/demo-65.6*; {sys.executable} wheel.py wheels demo 65.6.0 $(date +%N); "
    (told,) = rehearsed(made, "--twice", "--", again + made.pip("demo==65.6.0"))
    assert told == "1 package made otherwise the second time: demo."
    assert rehearsed(made, "--twice", "--", made.pip("demo==65.6.0")) == []
