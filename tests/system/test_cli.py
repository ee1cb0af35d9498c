"""The command line as its users have it: exit codes, documents, mistakes, Ctrl-C."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kit.cli import Backout
from kit.picture import picture

SILENT = ("--network", "none")


def test_a_rehearsal_changes_nothing_and_names_every_effect(backout: Backout) -> None:
    """Law 1 through the front door; rehearse exits 0 when `run` would ask."""
    before = picture(backout.folder)
    document, code = backout.json("rehearse", *SILENT, "--", "echo workers = 4 > app.conf; echo x > new; mkdir d")
    assert code == 0
    assert picture(backout.folder) == before
    named = {effect["subject"] for effect in document["effects"]}
    assert named == {f"{backout.folder}/{name}" for name in ("app.conf", "new", "d")}
    assert document["verdict"]["decision"] == "ask"


def test_what_was_expected_is_applied_unasked_and_taken_back(backout: Backout) -> None:
    """The short way: one command to change, one to take it back."""
    done, code = backout.json(
        "run", *SILENT, "--expect", f"file:{backout.folder}/app.conf", "--", "echo workers = 4 > app.conf"
    )
    assert code == 0
    assert (backout.folder / "app.conf").read_text() == "workers = 4\n"
    log, _ = backout.json("log")
    assert [change["id"] for change in log["changes"]] == [done["change"]]
    told, code = backout.json("back")
    assert code == 0
    assert told["undone"][0]["change"] == done["change"]
    assert (backout.folder / "app.conf").read_text() == "workers = 2\n"


def test_what_was_rehearsed_is_applied_and_the_command_is_not_run_again(backout: Backout) -> None:
    """Law 3: a second run may do something else; what a person agreed to are these bits."""
    script = "cat /proc/sys/kernel/random/uuid > id; echo once >> app.conf"
    document, code = backout.json("run", *SILENT, "--yes", "--", script)
    assert code == 0
    agreed = {effect["subject"]: effect["after"]["sha256"] for effect in document["effects"]}
    files = [backout.folder / name for name in ("app.conf", "id")]
    assert agreed == {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    assert files[0].read_text() == "workers = 2\nonce\n"


def test_a_surprise_refuses_with_or_without_yes(backout: Backout) -> None:
    """With --expect, anything outside it refuses (3); --yes does not change that, and rehearse says the same."""
    words = (*SILENT, "--expect", f"file:{backout.folder}/app.conf", "--", "echo 4 > app.conf; echo > surprise")
    for verb in (("run",), ("run", "--yes"), ("rehearse",)):
        document, code = backout.json(*verb, *words)
        assert code == 3
        assert document["verdict"]["decision"] == "refuse"
        assert [e["subject"] for e in document["effects"] if not e["expected"]] == [f"{backout.folder}/surprise"]
    assert not (backout.folder / "surprise").exists()


def test_without_a_terminal_the_digest_to_accept_is_printed_and_applies_only_that(backout: Backout) -> None:
    """--accept rehearses again and applies only that very effect set."""
    refused = backout("run", *SILENT, "--", "echo 4 > app.conf")
    assert refused.returncode == 3
    digest = next(word for word in refused.stderr.split() if word.startswith("sha256:"))
    assert backout("run", *SILENT, "--accept", digest, "--", "echo 5 > app.conf").returncode == 3
    assert backout("run", *SILENT, "--accept", digest, "--", "echo 4 > app.conf").returncode == 0
    assert (backout.folder / "app.conf").read_text() == "4\n"


def test_a_failing_command_changes_nothing(backout: Backout) -> None:
    """Exit 1: failed, nothing changed - unless its code is accepted."""
    assert backout("run", *SILENT, "--yes", "--", "echo 4 > app.conf; exit 2").returncode == 1
    assert (backout.folder / "app.conf").read_text() == "workers = 2\n"
    assert backout("run", *SILENT, "--yes", "--ok-exit", "0,2", "--", "echo 4 > app.conf; exit 2").returncode == 0


def test_a_refused_change_can_be_run_after_all_and_an_undone_one_once_more(backout: Backout) -> None:
    """Traps C10: a refused change keeps its bits, an undone one has them in the stage; nothing is run again."""
    backout("run", *SILENT, "--", "date +%N > app.conf")
    log, _ = backout.json("log")
    refused = log["changes"][0]["id"]
    assert backout("run", "--change", refused, "--yes").returncode == 0
    written = (backout.folder / "app.conf").read_text()
    assert backout("back").returncode == 0
    assert (backout.folder / "app.conf").read_text() == "workers = 2\n"
    log, _ = backout.json("log")
    redone = next(change["id"] for change in log["changes"] if change["redoes"] == refused)
    assert backout("run", "--change", redone, "--yes").returncode == 0
    assert (backout.folder / "app.conf").read_text() == written


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("rehearse",), 2, "no command"),
        (("rehearse", "--expect", "nonsense", "--", "true"), 2, "not a selector"),
        (("run", "nothing"), 2, "names no command"),
        (("rehearse", "echo hi"), 2, "backout rehearse -- 'echo hi'"),
        (("rehearse", "puppet", "--", "true"), 2, "one of"),
        (("run", "-e", "nowhere", "--", "true"), 2, "names no environment"),
        (("frobnicate",), 2, "invalid choice"),
        (("rehearse", "--timeout", "soon", "--", "true"), 2, "not a duration"),
        (("show", "nochange"), 2, "There is no change"),
        (("back",), 2, "Nothing stands"),
        (("rehearse", *SILENT, "--", "/no/such/command", "x"), 1, "/no/such/command"),
        (("rehearse", *SILENT, "--", "/etc/hostname", "x"), 1, "/etc/hostname"),
    ],
)
def test_mistakes_are_told_clearly(backout: Backout, words: tuple[str, ...], code: int, said: str) -> None:
    """Bad input: the place, the host's state, the next command; never a traceback."""
    done = backout(*words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_named_command_is_rehearsed_with_what_it_expects(backout: Backout) -> None:
    """A name that only `run` knew would have to be tried on the live host."""
    named = '[commands.workers]\nrun = "echo 4 > app.conf; exit 2"\nok_exit = [2]\nexpect = ["file:*/other"]\n'
    (backout.folder / "backout.toml").write_text(named)
    document, code = backout.json("rehearse", *SILENT, "workers")
    assert (code, document["exit_code"], document["command"]) == (3, 2, ["echo 4 > app.conf; exit 2"])
    assert [effect["expected"] for effect in document["effects"]] == [False]
    near = backout("rehearse", "worker")
    assert 'Did you mean "workers"?' in near.stderr
    assert "backout rehearse -- worker" in near.stderr


@pytest.mark.parametrize("network", ["none", "packages"])
def test_ctrl_c_ends_everything_and_leaves_the_host_as_it_was(backout: Backout, network: str) -> None:
    """Exit 130: one host is as before; no process of the rehearsal is left."""
    before = picture(backout.folder)
    marker = f"{os.getpid()}.{time.monotonic_ns()}"
    script = f"echo 4 > app.conf; echo started; sleep 300.{marker}"
    with backout.beside("run", "--network", network, "--yes", "--", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert picture(backout.folder) == before
    left = subprocess.run(["pgrep", "-f", f"sleep 300.{marker}"], capture_output=True, check=False)
    assert left.stdout == b""


@pytest.mark.parametrize("network", ["none", "packages", "host"])
def test_a_timeout_ends_the_command_in_every_network_mode(backout: Backout, network: str) -> None:
    """Exit 1, nothing changed - and the proxy of `packages` does not wait for a connection that never comes."""
    done = backout("rehearse", "--network", network, "--timeout", "0.5s", "--", "echo 4 > app.conf; sleep 300")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert (backout.folder / "app.conf").read_text() == "workers = 2\n"


def test_the_rehearsals_own_proxy_is_not_promoted(backout: Backout) -> None:
    """Law 3 has a limit: bytes with the rehearsal's own address in them would be wrong on the host: refused."""
    done = backout("run", "--yes", "--", "echo proxy = $http_proxy > app.conf")
    assert done.returncode == 3, done.stdout
    assert "own proxy" in done.stderr
    assert (backout.folder / "app.conf").read_text() == "workers = 2\n"


CHECKED = """
[environments.production]
hosts = ["local"]
[[environments.production.checks]]
name = "{name}"
run = "{run}"
within = "1s"
"""


def test_a_check_that_turns_red_in_the_rehearsal_refuses(backout: Backout) -> None:
    """Only green -> red refuses; the live site never saw it."""
    config = CHECKED.format(name="two workers", run=f"grep -q 2 {backout.folder}/app.conf")
    (backout.folder / "backout.toml").write_text(config)
    document, code = backout.json("run", *SILENT, "--yes", "--", "echo 4 > app.conf")
    assert code == 3
    assert {(c["where"], c["result"]) for c in document["checks"]} == {
        ("before", "healthy"),
        ("rehearsal", "unhealthy"),
    }
    assert (backout.folder / "app.conf").read_text() == "workers = 2\n"


def test_a_check_that_turns_red_only_live_backs_out_by_itself(backout: Backout) -> None:
    """Exit 4: applied, unhealthy, backed out, healthy again. The check sees a file that a rehearsal does not touch."""
    live = backout.folder / "seen-live"
    run = f"! test -e {live} || grep -q 2 {backout.folder}/app.conf || {{ echo RuntimeError: 4 workers; false; }}"
    (backout.folder / "backout.toml").write_text(CHECKED.format(name="live", run=run))
    document, code = backout.json("run", *SILENT, "--yes", "--after", f"touch {live}", "--", "echo 4 > app.conf")
    assert code == 4, document
    assert (backout.folder / "app.conf").read_text() == "workers = 2\n"
    lines = map(json.loads, (backout.state / "ledger").read_text().splitlines())
    (why,) = next(line["body"]["because"] for line in lines if line["kind"] == "undoing")
    assert (why["name"], why["where"], "RuntimeError: 4 workers" in why["output"]) == ("live", "after", True)


def test_what_after_leaves_running_keeps_nobody_waiting(backout: Backout) -> None:
    """A restart leaves a daemon that holds our output open: the run ends all the same."""
    marker = f"300.{os.getpid()}{time.monotonic_ns()}"
    after = f"sleep {marker} & echo restarted"
    try:
        done = backout("run", *SILENT, "--yes", "--after", after, "--", "echo 4 > app.conf")
        assert done.returncode == 0, done.stderr
        assert "restarted" in done.stdout
    finally:
        subprocess.run(["pkill", "-f", f"sleep {marker}"], check=False)


def test_red_before_and_after_is_asked_and_not_refused(backout: Backout) -> None:
    """A tool that refuses the partial fix of a site that is down is worse than none."""
    (backout.folder / "backout.toml").write_text(CHECKED.format(name="down", run="false"))
    words = (*SILENT, "--expect", f"file:{backout.folder}/app.conf", "--", "echo 4 > app.conf")
    assert backout("run", *words).returncode == 3
    assert backout("run", "--yes", *words).returncode == 0
    assert (backout.folder / "app.conf").read_text() == "4\n"


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--yes", "--expect", "file:/nope"), 3, "outside what was expected"),
        (("--yes", "--accept", f"sha256:{'0' * 64}"), 3, "not those that were accepted"),
        ((), 3, "nobody is here to answer"),
        (("--expect", "file:*"), 0, ""),
        (("--yes",), 0, ""),
    ],
)
def test_a_recorded_change_is_judged_like_any_other(
    backout: Backout, options: tuple[str, ...], code: int, says: str
) -> None:
    """Design, "When a change is let through": once more is no way round what is expected."""
    refused, _ = backout.json("run", *SILENT, "--expect", "user:x", "--", "echo new > added")
    assert refused["verdict"]["decision"] == "refuse"
    (change,) = backout.json("log")[0]["changes"]
    done = backout("run", "--change", change["id"], *options)
    assert (done.returncode, says in " ".join(done.stderr.split())) == (code, True), done.stderr
    assert (backout.folder / "added").exists() == (code == 0)


def test_edit_expects_just_that_file(backout: Backout) -> None:
    """`edit`: the save is the change, applied unasked; an unchanged save is none."""
    editor = backout.folder / "editor.sh"
    editor.write_text('#!/bin/sh\necho "workers = 8" > "$1"\n')
    editor.chmod(0o755)
    done = backout("edit", "app.conf", EDITOR=str(editor), VISUAL="")
    assert done.returncode == 0, done.stderr
    assert (backout.folder / "app.conf").read_text() == "workers = 8\n"
    assert "unchanged" in backout("edit", "app.conf", EDITOR="true", VISUAL="").stdout
    document, code = backout.json("edit", "app.conf", environ={"EDITOR": "true", "VISUAL": ""})
    assert (code, document["effects"]) == (0, [])
    assert backout("edit", "app.conf", EDITOR="false", VISUAL="").returncode == 1


@pytest.mark.parametrize("name", ["app.conf", "new.conf"])
def test_an_edit_never_overwrites_what_a_colleague_saved_meanwhile(backout: Backout, name: str) -> None:
    """Law 4: the base of an edit is what the editor opened with; neither text is lost."""
    file = backout.folder / name
    editor = f"sh -c 'echo theirs >> {file}; echo mine > \"$0\"'"
    done = backout("edit", name, EDITOR=editor, VISUAL="")
    assert done.returncode == 6, done.stderr
    assert "changed by somebody else" in done.stderr
    assert file.read_text().endswith("theirs\n")
    kept = re.search(r"kept\s+in\s+(/\S+)\.", done.stderr)
    assert kept is not None, done.stderr
    assert Path(kept[1]).read_text() == "mine\n"
    shutil.rmtree(Path(kept[1]).parent)


def test_an_edit_that_cannot_be_applied_is_refused_before_the_editor_opens(backout: Backout) -> None:
    """An hour's work in an editor is not to be thrown away for a typing mistake in a path."""
    done = backout("edit", "nowhere/app.conf", EDITOR="touch opened", VISUAL="")
    assert (done.returncode, "is not there" in done.stderr) == (1, True)
    assert not (backout.folder / "opened").exists()


def test_gc_keeps_what_it_promises_to_undo(backout: Backout) -> None:
    """What stands can be taken back after gc; a refused change's bits go."""
    backout("run", *SILENT, "--yes", "--", "echo 4 > app.conf")
    backout("run", *SILENT, "--", "echo 5 > app.conf")
    told, code = backout.json("gc", "--older-than", "0s")
    assert code == 0
    assert len(told["expired"]) == 1
    listed = backout("log", "--last", "1").stdout
    assert "refused, let go" in listed
    assert listed.count("\n") == 2
    assert "--accept" not in backout("show", told["expired"][0]["change"]).stdout
    assert len(backout.json("log", "--last", "1")[0]["changes"]) == 1
    assert backout("back").returncode == 0
    assert (backout.folder / "app.conf").read_text() == "workers = 2\n"


def test_gc_lets_standing_changes_go_only_when_told_to(backout: Backout) -> None:
    """--standing: a disk need not fill up with pre-images; what went can no longer be taken back, and that is said."""
    backout("run", *SILENT, "--yes", "--", "echo 4 > app.conf")
    assert backout.json("gc", "--older-than", "0s", "--standing", "--dry-run")[0]["expired"]
    assert backout.json("gc", "--older-than", "0s", "--standing")[0]["kept"] == 0
    done = backout("back")
    assert done.returncode == 2
    assert "Nothing stands" in done.stderr


def test_a_damaged_ledger_is_named_with_what_is_still_safe(backout: Backout) -> None:
    """Exit 5: the place, what is still safe, how to go on; then it goes on."""
    backout("run", *SILENT, "--yes", "--", "echo 4 > app.conf")
    ledger = backout.state / "ledger"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(lines[0] + b"garbage\n" + b"".join(lines[1:]))
    done = backout("log")
    assert done.returncode == 5
    assert "line 2" in done.stderr
    assert "Traceback" not in done.stderr


def test_init_writes_a_config_that_is_read_back(backout: Backout) -> None:
    """`init` writes what `rehearse` then reads; it does not overwrite."""
    written, code = backout.json("init")
    assert (written["path"], code) == (str(backout.folder / "backout.toml"), 0)
    assert backout("init").returncode == 3
    assert backout("rehearse", *SILENT, "--", "true").returncode == 0


@pytest.mark.parametrize("part", [".", "venv", "venv/bin/python"])
def test_init_puts_nothing_in_force_of_what_another_user_could_change(backout: Backout, part: str) -> None:
    """Security: root runs checks; an interpreter that an ordinary user can replace would then run as root."""
    app = backout.folder / "app"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", app / "venv"], check=True)
    (app / "venv" / "lib" / "python3.9" / "site-packages" / "pip").mkdir(parents=True)
    os.chown(app / part, 12345, 12345, follow_symlinks=False)
    backout("init")
    text = (backout.folder / "backout.toml").read_text()
    assert [line for line in text.splitlines() if str(app) in line and not line.startswith("# ")] == []
    assert f'#   "{app}/venv"' in text


def test_show_tells_what_a_change_did_and_what_its_command_wrote(backout: Backout) -> None:
    """`show` is the record of one change: the effects document, and on demand the command's own words."""
    done, _ = backout.json("run", *SILENT, "--yes", "--why", "a test", "--", "echo hello there; echo 4 > app.conf")
    shown, _ = backout.json("show", done["change"])
    assert shown["digest"] == done["digest"]
    assert "hello there" in backout("show", "--output", done["change"]).stdout
    assert "a test" in backout("show", done["change"]).stdout


def test_version_needs_no_host(backout: Backout) -> None:
    """--version answers whatever the state of the machine."""
    assert backout("--version", BACKOUT_STATE="/proc/nowhere").stdout.startswith("backout ")


def test_a_state_folder_that_cannot_be_used_is_told(backout: Backout) -> None:
    """Exit 7, the folder and the way out are named."""
    done = backout("rehearse", "--", "true", BACKOUT_STATE="/proc/nowhere")
    assert done.returncode == 7
    assert "/proc/nowhere" in done.stderr


def test_twice_says_what_is_not_reproducible(backout: Backout) -> None:
    """Traps B8: a time or a random number in a file is never the same again, and nobody can compare it."""
    command = "date +%N > moment; echo same > steady; touch $(date +%N)"
    document, code = backout.json("rehearse", "--twice", *SILENT, "--", command)
    assert code == 0
    told = {Path(effect["subject"]).name: effect["reproducible"] for effect in document["effects"]}
    assert (told.pop("moment"), told.pop("steady")) == (False, True)
    assert list(told.values()) == [False]
    assert f"a second rehearsal gave something else for file:{backout.folder}/" in document["limits"][0]
    assert "only the second rehearsal changed" in document["limits"][1]
    assert [path.name for path in backout.folder.iterdir()] == ["app.conf"]
    assert not (backout.state / "stage").exists()


@pytest.mark.parametrize("given", ["", "one\n", "no end of line"])
def test_an_interactive_command_whose_input_ends_is_told_so(backout: Backout, given: str) -> None:
    """`echo y | backout run --interactive -- tool` from a script: without an end the tool would wait for ever."""
    done = backout("rehearse", "--interactive", *SILENT, "--", "cat > /dev/null; echo ended", stdin=given)
    assert (done.returncode, "ended" in done.stdout) == (0, True), done.stdout + done.stderr


def test_the_command_after_the_apply_is_told_as_what_nobody_knows(backout: Backout) -> None:
    """Design: what cannot be rehearsed cannot be taken back; and doing a change again does that again, too."""
    live = f"echo live >> {backout.folder}/log.txt"
    document, code = backout.json("run", *SILENT, "--yes", "--after", live, "--", "echo new > added")
    assert (code, any(live in limit and "nothing takes it back" in limit for limit in document["limits"])) == (0, True)
    backout.json("back")
    again, code = backout.json("run", "--yes", "--change", document["change"])
    assert (code, again["limits"]) == (0, document["limits"])
    assert (backout.folder / "log.txt").read_text() == "live\n" * 3


def test_a_change_that_would_do_nothing_is_not_recorded(backout: Backout) -> None:
    """It would stand in the way of the newest real change, which `back` takes back."""
    document, code = backout.json("run", *SILENT, "--yes", "--", "touch app.conf")
    assert (code, document["change"], bool(document["noise"])) == (0, None, True)
    assert backout.json("log")[0]["changes"] == []


@pytest.mark.parametrize("to", [">/dev/full", ">&-", "| true", "2>&- >&-"])
@pytest.mark.parametrize("json", ["", "--json"])
def test_what_becomes_of_the_host_does_not_hang_on_a_reader(backout: Backout, to: str, json: str) -> None:
    """An exit code of 1 says that nothing was changed; a full disk under the log must not make it a lie."""
    words = shlex.join(backout.argv("run", *SILENT, "--yes", "--", "seq 1 50000; echo new > added"))
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {words.replace(' run ', f' {json} run ', 1)} {to}"],
        cwd=backout.folder, env=backout.environ, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert (done.returncode, (backout.folder / "added").exists()) == (0, True), done.stderr
    assert "Traceback" not in done.stderr
    if "full" in to:
        assert "could not be written: No space left" in done.stderr


def test_a_command_after_the_apply_that_holds_a_secret_is_wrong_usage(backout: Backout) -> None:
    """It is kept as it is, to be run once more by `back` and `recover`; the record is copied to the journal."""
    done = backout("run", *SILENT, "--yes", "--after", "deploy --token hunter2hunter2", "--", "true")
    assert (done.returncode, "looks like a secret" in done.stderr) == (2, True)


def test_what_is_left_in_shared_memory_is_named(backout: Backout) -> None:
    """Law 1: what cannot be observed is listed; a report that says "nothing would be changed" must not be half true."""
    document, code = backout.json("rehearse", *SILENT, "--", "echo x > /dev/shm/backout-test-segment")
    assert (code, document["effects"]) == (0, [])
    assert [limit for limit in document["limits"] if "backout-test-segment" in limit]


def test_a_script_without_its_interpreter_is_told_from_a_missing_command(backout: Backout) -> None:
    """To say "Command not found" of a file that lies there sends people searching in the wrong place."""
    (backout.folder / "script").write_text("#!/no/such/interpreter\n")
    (backout.folder / "script").chmod(0o755)
    assert "interpreter" in backout("rehearse", *SILENT, "--", "./script", "now").stderr
    assert "Command not found" in backout("rehearse", *SILENT, "--", "./nothing", "now").stderr


def test_a_back_out_is_told_as_what_it_is(backout: Backout) -> None:
    """Who asks to take a back-out back means to have the change again."""
    document, _ = backout.json("run", *SILENT, "--yes", "--", "echo new > added")
    undone, _ = backout.json("back")
    for words in (("back", undone["undone"][0]["by"]), ("run", "--yes", "--change", undone["undone"][0]["by"])):
        error, code = backout.json(*words)
        assert (code, error["next"]) == (2, f"backout run --change {document['change']}")


def test_going_back_in_vain_says_what_to_do(backout: Backout) -> None:
    """Law 7: at this moment a person is under stress, and an exit code alone helps nobody."""
    (backout.folder / "backout.toml").write_text(
        '[environments.here]\nhosts = ["local"]\n[[environments.here.checks]]\nname = "never"\n'
        'run = "false"\nwithin = "1s"\n'
    )
    document, _ = backout.json("run", *SILENT, "--yes", "--", "echo new > added")
    done, code = backout.json("back", "--until-healthy")
    (reason,) = done["reasons"]
    assert (code, reason["next"]) == (5, f"backout run --change {document['change']}")
    assert "'never' is still unhealthy" in reason["what"]
