"""The grammar of the command line: what is read as what, and that wrong usage is an error like any other."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from typing import Any

import pytest

from backout import __version__, bootstrap
from backout.cli import calm, commands, do, export, guard, look, parity, review, run, search, shell, split, tell
from backout.cli.parser import build, count, digest, duration, exit_codes, parse
from backout.errors import UsageError
from backout.model import rules

VERBS = {
    "rehearse": "rehearse -- true",
    "run": "run -- true",
    "edit": "edit /etc/motd",
    "back": "back",
    "split": "split 20261123-170412-kfd",
    "recover": "recover",
    "log": "log",
    "show": "show 20261123-170412-kfd",
    "tell": "tell client it is a package",
    "search": "search gunicorn",
    "import": "import postmortem.md",
    "calm": "calm --review 2026-12-01",
    "review": "review close --incident sdx",
    "export": "export --as html",
    "look": "look production",
    "compare": "compare staging production",
    "drift": "drift production",
    "guard": "guard test",
    "panic": "panic the site is down",
    "note": "note x",
    "do": "do -- true",
    "shell": "shell",
    "gc": "gc",
    "doctor": "doctor",
    "init": "init",
    "drill": "drill",
}
"""Each command, used rightly."""
ELSEWHERE = {
    "do": do,
    "calm": calm,
    "review": review,
    "export": export,
    "look": look,
    "compare": parity,
    "drift": parity,
    "guard": guard,
    "shell": shell,
    "split": split,
    "tell": tell,
    "search": search,
    "import": search,
}
"""Where the functions of commands are that have a module of their own."""
LENIENT = {"note", "panic"}
"""Commands that read their words by themselves, and are never used wrongly."""
USED = sorted(VERBS.items())
GLOBAL = [
    ("--json", "json", True),
    ("--quiet", "quiet", True),
    ("-q", "quiet", True),
    ("--no-color", "no_color", True),
    ("--config other.toml", "config", "other.toml"),
]


@pytest.fixture(autouse=True)
def no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin no host half: these tests are about words."""
    monkeypatch.setattr(bootstrap, "begin", lambda _: None)


def read(line: str) -> argparse.Namespace:
    """A command line as a shell would hand it over."""
    return parse(shlex.split(line))


def test_the_table_above_names_every_command() -> None:
    """A command that comes is held to the rules of the others without anybody thinking of it."""
    (verbs,) = [action for action in build()._actions if isinstance(action, argparse._SubParsersAction)]
    assert set(verbs.choices) == set(VERBS)


@pytest.mark.parametrize(("verb", "line"), USED)
@pytest.mark.parametrize(("option", "name", "value"), GLOBAL)
def test_a_global_option_means_the_same_before_and_after_the_command(
    verb: str, line: str, option: str, name: str, value: object
) -> None:
    """Nobody remembers which tool wants it where; a place that is silently ignored would be worst."""
    before = read(f"{option} {line}")
    after = read(line.replace(verb, f"{verb} {option}", 1))
    assert getattr(before, name) == getattr(after, name) == value
    assert getattr(read(line), name) in (False, None)


@pytest.mark.parametrize(("verb", "line"), [(verb, line) for verb, line in USED if verb not in LENIENT])
def test_every_command_is_carried_out_by_the_function_of_its_name(
    verb: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One word means one thing, in code, commands and documents."""
    asked: list[str] = []

    def called(options: argparse.Namespace) -> int:
        asked.append(options.verb)
        return 3

    monkeypatch.setattr(ELSEWHERE.get(verb, commands), "import_" if verb == "import" else verb, called)
    assert run(shlex.split(line)) == 3
    assert asked == [verb]


@pytest.mark.parametrize("verb", ["rehearse", "run", "split"])
def test_what_follows_two_dashes_is_the_command_word_by_word(verb: str) -> None:
    """The command's own --json, its quotes and its own two dashes are its business."""
    options = read(f"{verb} --network none -- git log --json -- 'a file' --network x")
    assert options.command == ["git", "log", "--json", "--", "a file", "--network", "x"]
    assert (options.json, options.network) == (False, "none")


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"rehearse", "run", "split", "tell", "do"} - LENIENT))
def test_a_command_after_two_dashes_is_refused_by_all_others(verb: str) -> None:
    """`backout back -- CMD` asks for something that back does not do; half of it done would surprise."""
    with pytest.raises(UsageError, match=f"backout {verb} takes no command after --") as caught:
        read(f"{VERBS[verb]} -- true")
    assert caught.value.next == f"backout {verb} --help"


@pytest.mark.parametrize(
    ("line", "what", "next"),
    [
        ("", "COMMAND", "backout --help"),
        ("rehaerse -- true", "rehaerse", "backout --help"),
        ("--bogus log", "--bogus", "backout log --help"),
        ("run --bogus -- true", "--bogus", "backout run --help"),
        ("rehearse --timeout 0 -- true", "'0' leaves the command no time", "backout rehearse --help"),
        ("run --timeout 0.0m -- true", "'0.0m' leaves the command no time", "backout run --help"),
        ("run --accept 7 -- true", "'7' is not a digest", "backout run --help"),
        ("show", "ID", "backout show --help"),
        ("run --network all -- true", "--network", "backout run --help"),
        ("run --timeout soon -- true", "'soon' is not a duration", "backout run --help"),
        ("run --ok-exit ok -- true", "'ok' is not a list of exit codes", "backout run --help"),
        ("rehearse --expect", "--expect", "backout rehearse --help"),
        ("rehearse --yes -- true", "--yes", "backout rehearse --help"),
        ("back --keep-edits --discard-edits", "not allowed with", "backout back --help"),
    ],
)
def test_wrong_usage_is_an_error_that_names_the_place_and_the_help(line: str, what: str, next: str) -> None:
    """It is told like every error (law 7), with --json as a document, and argparse exits nowhere."""
    with pytest.raises(UsageError) as caught:
        read(line)
    assert what in caught.value.what
    assert caught.value.what[0].isupper()
    assert caught.value.next == next


@pytest.mark.parametrize(
    ("line", "next"),
    [
        ("rehearse echo hi", "backout rehearse -- echo hi"),
        ("do -e web1 ls -l /srv", "backout do -e web1 -- ls -l /srv"),
        ("run --why 'a b' apt-get -y install nginx", "backout run --why 'a b' -- apt-get -y install nginx"),
        (
            "-q rehearse --network none pip install -U 'flask>3'",
            "backout -q rehearse --network none -- pip install -U 'flask>3'",
        ),
    ],
)
def test_forgotten_dashes_are_told_with_the_line_that_was_meant(line: str, next: str) -> None:
    """It is everybody's first mistake: the answer to it is the line to paste, not a page to read."""
    with pytest.raises(UsageError, match="stands after --") as caught:
        read(line)
    assert caught.value.next == next


@pytest.mark.parametrize("verb", ["rehearse", "run"])
def test_a_command_may_be_named_instead(verb: str) -> None:
    """What is run by its name is rehearsed by its name."""
    assert (read(f"{verb} puppet").name, read(f"{verb} -- puppet").name) == ("puppet", None)


@pytest.mark.parametrize("text", ["0", "-1", "", "1.5", "ten", "1\n", "9" * 99])
def test_how_many_to_list_is_a_number_from_1_on(text: str) -> None:
    """`--last 0` would look like an empty record."""
    assert (read("log").last, read("log --last 20").last) == (None, 20)
    with pytest.raises(argparse.ArgumentTypeError, match="is not a number"):
        count(text)


HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize("text", [f"sha256:{HEX}", HEX, HEX.upper()])
def test_a_digest_is_accepted_with_and_without_its_beginning(text: str) -> None:
    """People copy either half of it; what is compared is the whole."""
    assert digest(text) == f"sha256:{HEX}"
    assert read(f"run --accept {text} -- true").accept == f"sha256:{HEX}"


@pytest.mark.parametrize("text", ["", "yes", "sha256:", HEX[1:], HEX + "0", f"sha1:{HEX}", "g" + HEX[1:], HEX + "\n"])
def test_what_is_no_digest_is_refused(text: str) -> None:
    """A digest that was cut while copying must not look as if the effects had changed."""
    with pytest.raises(argparse.ArgumentTypeError, match="is not a digest"):
        digest(text)


@pytest.mark.parametrize("line", ["--js log", "run --acc x -- true", "gc --dry", "back --until"])
def test_an_option_is_written_in_full(line: str) -> None:
    """An abbreviation in a script breaks, or means another thing, as soon as an option comes that begins alike."""
    with pytest.raises(UsageError, match="Unrecognized arguments"):
        read(line)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1.5h", 5400), ("2h", 7200), ("30d", 2592000)]
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    """As people write it; seconds, when there is no unit."""
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-5", "5 m", "5min", "1h30m", "1e3", "nan", "inf", "5m\n", ".5"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A timeout that was misread ends a command in its middle, or never."""
    with pytest.raises(argparse.ArgumentTypeError, match="is not a duration"):
        duration(text)


def test_exit_codes_are_numbers_between_commas() -> None:
    """Puppet says 0 when nothing changed and 2 when something did; both are success."""
    assert (exit_codes("0"), exit_codes("0,2")) == ((0,), (0, 2))


@pytest.mark.parametrize("text", ["", "0,", "zero", "0;2", "0-2", "2.0", "-1", "256"])
def test_what_is_no_list_of_exit_codes_is_refused(text: str) -> None:
    """A failure taken for a success would be applied."""
    with pytest.raises(argparse.ArgumentTypeError, match="is not a list of exit codes"):
        exit_codes(text)


def test_a_run_without_options_asks_and_expects_nothing() -> None:
    """Nothing that lets more through may be on by default."""
    options = read("run -- true")
    given = {name: getattr(options, name) for name in ("yes", "accept", "allow_failure", "ok_exit", "change", "after")}
    assert given == {
        "yes": False,
        "accept": None,
        "allow_failure": False,
        "ok_exit": None,
        "change": None,
        "after": None,
    }
    assert (options.expect, options.interactive, options.network, options.timeout) == ([], False, None, None)


def test_one_expectation_more_is_added_to_those_before_and_to_no_other_command_line() -> None:
    """A list that was shared between two calls would let through what only the first expected."""
    assert read("run --expect a:b --expect c:d -- true").expect == ["a:b", "c:d"]
    assert read("run -- true").expect == []


@pytest.mark.parametrize(
    ("line", "edits"), [("back", "stop"), ("back --keep-edits", "keep"), ("back --discard-edits", "discard")]
)
def test_back_stops_at_edits_unless_told_what_to_do_with_them(line: str, edits: str) -> None:
    """Somebody's work since the change is lost only when a person says so."""
    assert read(line).edits == edits


def test_gc_keeps_a_month_and_what_stands_unless_told_otherwise() -> None:
    """What can still be taken back is not thrown away by a nightly job."""
    options = read("gc")
    assert read("gc --older-than 0s").older_than == 0
    assert (options.older_than, options.standing, options.dry_run) == (30 * 86400, False, False)


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_end_well(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """They are what an installation is first tried with, and what `--help` in every error leads to."""
    with pytest.raises(SystemExit) as ended:
        parse([option])
    assert ended.value.code == 0
    assert __version__ in capsys.readouterr().out or option == "--help"


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The exit code, what is on stdout and what is on stderr."""
    code = run(words)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize("words", [("--json", "show"), ("show", "--json"), ("--json", "--js")])
def test_with_json_wrong_usage_is_one_document_on_stdout(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """A program that asked for JSON reads the error, too, even where the line could not be parsed."""
    code, out, err = told(capsys, *words)
    document: dict[str, Any] = json.loads(out)
    assert (code, document["schema"], document["exit_code"], err) == (2, "backout.error/1", 2, "")


@pytest.mark.parametrize("error", [UsageError("wrong"), KeyboardInterrupt()])
def test_the_commands_own_json_option_is_not_ours(
    error: BaseException, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`backout run -- npm ls --json` did not ask for a document: a person reads what went wrong, on stderr."""

    def fail(_: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(commands, "run", fail)
    code, out, err = told(capsys, "run", "--", "npm", "ls", "--json")
    assert (code, out) == (2 if isinstance(error, UsageError) else 130, "")
    assert ("wrong" if code == 2 else "Interrupted") in err


def test_every_key_of_a_rule_has_an_option_of_guard_add() -> None:
    """A rule that comes is one that can be added from the command line without anybody thinking of it."""
    known = vars(read("guard add forbid --why so"))
    assert [key for name in rules.names() for key in rules.rule(name).KEYS if key not in known] == []


def test_the_help_of_guard_add_names_every_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has to look a rule up elsewhere. They stand there as text, so that no start waits for their import."""
    with pytest.raises(SystemExit):
        read("guard add --help")
    told = re.split(r"[ ,\n]+", re.sub(r"-\n +", "-", capsys.readouterr().out))
    assert set(rules.names()) <= set(told)


@pytest.mark.parametrize("text", ["", "file", "=3", "file=", "file=-1", "file=many", "file=1.5"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    """A limit that was read as another one would let through what it is there for."""
    with pytest.raises(UsageError, match="is not KIND=N"):
        read(f"guard add max-effects --why so --most '{text}'")
    assert read("guard add max-effects --why so --most file=3 --most '*=07'").most == [("file", 3), ("*", 7)]
