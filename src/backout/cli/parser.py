"""The command line's grammar, with argparse: the reference in the docs is generated from here."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from backout import __version__
from backout.errors import UsageError
from backout.model.fact import KINDS
from backout.render.screen import Screen

_NOT_ON_HOST = {
    *("init", "drill", "look", "compare", "drift", "guard"),
    *("note", "shell", "do", "tell", "calm", "export", "search", "import", "review"),
}
"""Commands that work on no host, or open it by themselves."""
_WITH_CHECKS = ("rehearse", "run", "edit", "back", "split", "panic")


class _Parser(argparse.ArgumentParser):
    def __init__(self, **settings: Any) -> None:
        """Take options in full alone: an abbreviation changes its meaning when another option comes."""
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Raise a UsageError instead of printing and exiting, so that --json gets its document."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", next=f"{self.prog} --help")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read a command line; what follows `--` is the command to rehearse, taken as given.

    UsageError when it is wrong.
    """
    words = list(argv)
    split = words.index("--") if "--" in words else len(words)
    parser = build()
    options, unread = parser.parse_known_args(words[:split])
    takes_words = getattr(options, "takes_words", False)
    if takes_words and not any(word.startswith("-") for word in unread):
        options.words += unread  # argparse takes words in one place alone; they may stand around options
    elif unread:
        if not takes_words:
            _require_dashes(options, words[:split], unread)
        raise UsageError(f"Unrecognized arguments: {' '.join(unread)}.", next=f"backout {options.verb} --help")
    options.command = words[split + 1 :]
    if options.verb == "show" and re.fullmatch(r"i[0-9]{8}-.*", options.change):
        options.on_host = False  # an incident is in the journal
    if options.command and not getattr(options, "takes_command", False):
        raise UsageError(f"backout {options.verb} takes no command after --.", next=f"backout {options.verb} --help")
    return options


def _require_dashes(options: argparse.Namespace, words: list[str], unread: list[str]) -> None:
    """Propose the line that was meant where a command stands without `--`: from the first word that is no option."""
    name = getattr(options, "name", None if unread[0].startswith("-") else unread[0])
    at = words.index(name) if name in words else len(words)
    if not getattr(options, "takes_command", False) or set(unread) & set(words[:at]):
        return
    raise UsageError(
        f"A command stands after --, so that its options are its own; unrecognized arguments: {' '.join(unread)}.",
        next=" ".join(map(Screen().word, ("backout", *words[:at], "--", *words[at:]))),
    )


def build() -> _Parser:
    """Build the whole grammar."""
    shared = _global_options()
    parser = _Parser(
        prog="backout",
        parents=[_global_options(default=True)],
        description="Know what a change will do before it does it. Take back exactly what it did.",
        epilog="Exit codes: 0 done, 1 failed, 2 usage or config, 3 refused, 4 backed out, 5 needs a person, "
        "6 conflict, 7 not possible, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"backout {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True, parser_class=_Parser)
    changing = (_rehearse, _run, _edit, _back, _split, _recover, _log, _show)
    meeting = (_panic, _note, _do, _shell, _tell, _calm, _export, _search, _import, _review)
    for add in (*changing, *meeting, _look, _compare, _drift, _guard, _gc, _doctor, _init, _drill):
        add(verbs, shared)
    return parser


def _global_options(*, default: bool = False) -> _Parser:
    """Give the options that stand before or after the command.

    After it they have no default, so that neither place wins.
    """
    options = _Parser(add_help=False, argument_default=None if default else argparse.SUPPRESS)
    unset = False if default else argparse.SUPPRESS
    options.add_argument(
        "--json",
        action="store_true",
        help="one document on stdout, nothing else there",
        default=unset,
    )
    options.add_argument(
        "--quiet",
        "-q",
        action="store_true",
        help="no progress, none of the command's output",
        default=unset,
    )
    options.add_argument("--no-color", action="store_true", help="no colours (NO_COLOR does the same)", default=unset)
    options.add_argument("--config", metavar="FILE", help="the backout.toml to use (default: found upward from here)")
    return options


def _verb(
    verbs: argparse._SubParsersAction[_Parser], shared: _Parser, name: str, text: str, module: str = "commands"
) -> _Parser:
    verb = verbs.add_parser(name, parents=[shared], help=text, description=text[:1].upper() + text[1:] + ".")
    on_host = name not in _NOT_ON_HOST
    verb.set_defaults(call=_lazily("import_" if name == "import" else name, module), on_host=on_host, environment=None)
    if on_host:
        default = "the one that lists this machine" if name in _WITH_CHECKS else "this machine"
        verb.add_argument("-e", "--environment", metavar="ENV", help=f"the environment (default: {default})")
    return verb


def _lazily(name: str, module: str = "commands") -> Callable[[argparse.Namespace], int]:
    def call(options: argparse.Namespace) -> int:
        return int(getattr(importlib.import_module(f"backout.cli.{module}"), name)(options))

    return call


def duration(text: str) -> float:
    """Read 90, 90s, 5m, 2h or 30d as seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if match is None:
        message = f"{text!r} is not a duration such as 90s, 5m, 2h or 30d"
        raise argparse.ArgumentTypeError(message)
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def timeout(text: str) -> float:
    """Read a duration that is not 0, as seconds: a command that may take no time at all cannot be rehearsed."""
    seconds = duration(text)
    if not seconds:
        message = f"{text!r} leaves the command no time"
        raise argparse.ArgumentTypeError(message)
    return seconds


def count(text: str) -> int:
    """Read a number of things, 1 or more."""
    if not re.fullmatch(r"0*[1-9][0-9]{0,9}", text):
        message = f"{text!r} is not a number from 1 on"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def digest(text: str) -> str:
    """Read the digest of an effect set, `sha256:` and 64 hex digits, as reports show it; also without the `sha256:`."""
    match = re.fullmatch(r"(?:sha256:)?([0-9a-f]{64})", text.lower())
    if match is None:
        message = f"{text!r} is not a digest: sha256: and 64 hex digits"
        raise argparse.ArgumentTypeError(message)
    return f"sha256:{match[1]}"


def exit_codes(text: str) -> tuple[int, ...]:
    """Read 0,2 as exit codes; a code is a number from 0 to 255 (exit(3))."""
    words = text.split(",")
    if not all(re.fullmatch(r"[0-9]{1,3}", word) and int(word) < 1 << 8 for word in words):
        message = f"{text!r} is not a list of exit codes such as 0,2"
        raise argparse.ArgumentTypeError(message)
    return tuple(int(word) for word in words)


def _measuring(verb: _Parser) -> None:
    verb.set_defaults(takes_command=True)
    verb.add_argument(
        "--expect",
        metavar="KIND:GLOB",
        action="append",
        default=[],
        help="an effect that is asked for; anything else refuses",
    )
    _running(verb)
    verb.add_argument("--timeout", type=timeout, metavar="TIME", help="end the command after this time: 90s, 5m")
    verb.add_argument(
        "--ok-exit", type=exit_codes, metavar="CODES", help="exit codes that mean success (default: 0; puppet: 0,2)"
    )
    verb.add_argument("--allow-failure", action="store_true", help="go on whatever the command's exit code")
    verb.add_argument("--twice", action="store_true", help="rehearse it twice, and say what is not reproducible")
    verb.add_argument("--full", action="store_true", help="show everything, with diffs")
    verb.add_argument("--noise", action="store_true", help="list what noise rules fold away")
    verb.add_argument(
        "--odd",
        metavar="HOST",
        action="append",
        default=[],
        help="a host that may differ from the others",
    )


def _running(verb: _Parser) -> None:
    verb.add_argument(
        "--network", choices=("none", "packages", "host"), help="what the rehearsal may reach (default: packages)"
    )
    verb.add_argument("--interactive", action="store_true", help="give the command this terminal's input")


def _rehearse(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    verb = _verb(verbs, shared, "rehearse", "measure what a command would do; change nothing")
    _measuring(verb)
    verb.usage = f"{verb.prog} [options] (-- CMD… | NAME)"
    verb.add_argument("name", nargs="?", metavar="NAME", help="a command of backout.toml")
    verb.add_argument("--accept", type=digest, metavar="DIGEST", help="judge as `run --accept` would")
    _passing(verb)


def _passing(verb: _Parser) -> None:
    verb.add_argument("--why", metavar="TEXT", default="", help="why, for the record")
    verb.add_argument(
        "--override",
        metavar="GUARD",
        action="append",
        default=[],
        help="pass a guard that allows it, with --why; the record keeps both",
    )


def _deciding(verb: _Parser) -> None:
    _passing(verb)
    verb.add_argument("--accept", type=digest, metavar="DIGEST", help="apply only this very effect set")
    verb.add_argument("--yes", "-y", action="store_true", help="answer the question with yes")
    verb.add_argument(
        "--after", metavar="CMD", help="run live after the apply: what cannot be rehearsed, and cannot be taken back"
    )


def _run(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    verb = _verb(
        verbs,
        shared,
        "run",
        "rehearse, judge, apply exactly what was rehearsed, check; back out when a check turned red",
    )
    _measuring(verb)
    _deciding(verb)
    verb.usage = f"{verb.prog} [options] (-- CMD… | NAME | --change ID | --resume ID)"
    verb.add_argument("name", nargs="?", metavar="NAME", help="a command of backout.toml")
    verb.add_argument("--change", metavar="ID", help="apply a recorded change once more")
    verb.add_argument("--resume", metavar="ID", help="go on with a rollout that stopped, on the hosts that lack it")


def _edit(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    verb = _verb(verbs, shared, "edit", "your editor on a copy; the save is a change that expects just that file")
    verb.add_argument("--full", action="store_true", help="show everything, with diffs")
    verb.add_argument("file", metavar="FILE", help="the file to edit; it need not be there yet")
    _deciding(verb)


def _back(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    verb = _verb(verbs, shared, "back", "take back the newest change that stands, or down to CHANGE, checking between")
    verb.add_argument("change", nargs="?", metavar="CHANGE", help="go back to just before this change")
    verb.add_argument("--until-healthy", action="store_true", help="stop as soon as the checks are healthy")
    edits = verb.add_mutually_exclusive_group()
    edits.add_argument(
        "--keep-edits", dest="edits", action="store_const", const="keep", help="leave paths edited since as they are"
    )
    edits.add_argument(
        "--discard-edits",
        dest="edits",
        action="store_const",
        const="discard",
        help="take them back, too; the edits are saved",
    )
    verb.add_argument("--why", metavar="TEXT", default="", help="why, for the record")
    verb.add_argument("--pause", action="store_true", help="pause what would apply the change again (a Puppet agent …)")
    verb.set_defaults(edits="stop")


def _split(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    text = "find the smallest part of a change that breaks the checks, by rehearsing alone; offer the rest"
    verb = _verb(verbs, shared, "split", text, "split")
    verb.usage = f"{verb.prog} [options] (CHANGE | -- CMD…)"
    verb.add_argument("change", nargs="?", metavar="CHANGE", help="the recorded change")
    verb.add_argument(
        "--check",
        metavar="NAME",
        action="append",
        default=[],
        help="ask this check (default: those that turned red)",
    )
    verb.add_argument("--jobs", type=count, metavar="N", help="trials at the same time (default: one a CPU, at most 4)")
    verb.add_argument("--timeout", type=timeout, metavar="TIME", help="tell what is known by then: 90s, 5m")
    _running(verb)
    verb.set_defaults(takes_command=True, expect=[], ok_exit=None, allow_failure=True, accept=None)


def _recover(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    _verb(verbs, shared, "recover", "after a crash or power cut: bring every unfinished change to all-old or all-new")


def _log(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    verb = _verb(verbs, shared, "log", "the record of changes, newest first")
    verb.add_argument("--last", type=count, metavar="N", help="only so many (default: all)")


def _show(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    verb = _verb(verbs, shared, "show", "one change: who, why, what it did; one incident: its timeline")
    verb.add_argument("change", metavar="ID", help="the change, or the incident")
    verb.add_argument("--output", action="store_true", help="show what the command wrote, too")


def _panic(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    text = "open an incident, or join the open one: what is known at once, then what hosts say, then three questions"
    verb = _verb(verbs, shared, "panic", text, "panic")
    verb.add_argument("text", nargs="*", metavar="TEXT", help="what is wrong, in your words; anything is taken")
    verb.add_argument("--severity", metavar="N", help="1: clients are down, 2: they notice, 3: nobody outside does")
    verb.add_argument("--pause", action="store_true", help="pause what would undo a fix (a Puppet agent …), unasked")


def _search(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    text = "what was there before that looks like this: incidents, notes, commands, postmortems, changes"
    verb = _verb(verbs, shared, "search", text, "search")
    said = "words, or an error as it is; without any, or with -, what is piped in: a log, a traceback"
    verb.add_argument("text", nargs="*", metavar="TEXT", help=said)
    verb.add_argument("--last", "--limit", type=count, metavar="N", default=10, help="only so many (default: 10)")
    verb.add_argument("--entry", type=count, metavar="N", help="show the whole of an entry that was found")


def _import(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    text = "take in postmortems that were written elsewhere, or an incident that a colleague exported"
    verb = _verb(verbs, shared, "import", text, "search")
    told = "Markdown or text, with or without front matter; or an incident as JSON"
    verb.add_argument("files", nargs="+", metavar="FILE", help=told)


def _look(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    verb = _verb(verbs, shared, "look", "what holds on every host of an environment, kept as facts", "look")
    verb.add_argument("environment", metavar="ENV", help="the environment")
    verb.add_argument(
        "--kind",
        metavar="KIND",
        action="append",
        choices=KINDS,
        default=[],
        help="look at facts of this kind alone, and list them; not kept",
    )
    verb.add_argument("--full", action="store_true", help="list all facts")


def _compare(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    verb = _verb(verbs, shared, "compare", "whether two environments are the same where they should be", "parity")
    verb.add_argument("here", metavar="A", help="an environment")
    verb.add_argument("there", metavar="B", help="the one that it is compared with")
    verb.add_argument("--accept", action="store_true", help="make what differs today the baseline")
    verb.add_argument("--why", metavar="TEXT", default="", help="why that is accepted")
    verb.add_argument("--until", metavar="DATE", help="the last day on which it is, such as 2026-12-31")
    verb.add_argument("--since", action="store_true", help="tell since when each difference is there, and what did it")
    _looking(verb)


def _drift(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    verb = _verb(verbs, shared, "drift", "what changed on the hosts of an environment outside backout", "parity")
    verb.add_argument("here", metavar="ENV", help="the environment")
    verb.add_argument("--adopt", action="store_true", help="record it as a change of its own")
    verb.add_argument("--why", metavar="TEXT", default="", help="why it was done, for the record")
    verb.add_argument("--full", action="store_true", help="show everything")


def _looking(verb: _Parser) -> None:
    verb.add_argument("--stored", action="store_true", help="ask no host; take the newest looks that are stored")
    verb.add_argument("--full", action="store_true", help="show everything")


def _guard(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    from backout.cli.guards import grammar

    text = "rules that may refuse a change: list them, add one, replay them"
    grammar(_verb(verbs, shared, "guard", text, "guard"), shared, _Parser)


def _review(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    from backout.cli.reviewing import grammar

    text = "what is learned from an incident, as one file that is edited and kept, and what proves that it was"
    grammar(_verb(verbs, shared, "review", text, "review"), shared, _Parser)


def _tell(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    from backout.cli.telling import grammar

    grammar(
        _verb(verbs, shared, "tell", "send the next word of an incident to those who wait for it", "tell"), duration
    )


def _note(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    from backout.cli.incident import note_grammar

    note_grammar(_verb(verbs, shared, "note", "add a line to the timeline of the open incident", "note"))


def _do(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    from backout.cli.incident import do_grammar

    do_grammar(_verb(verbs, shared, "do", "run a command, live, and put it on the timeline with its output", "do"))


def _shell(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    from backout.cli.incident import shell_grammar

    text = "a shell that records every command, with the incident's clock"
    shell_grammar(_verb(verbs, shared, "shell", text, "shell"))


def _calm(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    from backout.cli.incident import calm_grammar

    text = "the end of an incident: resolved once the checks are healthy, then what is to be said"
    calm_grammar(_verb(verbs, shared, "calm", text, "calm"))


def _export(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    from backout.cli.incident import export_grammar

    text = "an incident as a page, a picture, a document, a public text or a script"
    export_grammar(_verb(verbs, shared, "export", text, "export"))


def _gc(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    verb = _verb(verbs, shared, "gc", "let go of bits that nothing promises to put back any more")
    verb.add_argument(
        "--older-than",
        type=duration,
        metavar="TIME",
        default=duration("30d"),
        help="keep what is younger (default: 30d)",
    )
    verb.add_argument(
        "--standing", action="store_true", help="changes that stand, too: they can then not be taken back"
    )
    verb.add_argument("--dry-run", action="store_true", help="only say what would go")


def _doctor(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    _verb(verbs, shared, "doctor", "what this host can do, and how to mend what it cannot")


def _init(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    verb = _verb(verbs, shared, "init", "write a commented backout.toml from what is found here")
    verb.add_argument("--force", action="store_true", help="overwrite the backout.toml that is there")


def _drill(verbs: argparse._SubParsersAction[_Parser], shared: _Parser) -> None:
    verb = _verb(verbs, shared, "drill", "replay the story on this machine, with real packages and real processes")
    verb.add_argument("--keep", action="store_true", help="keep the drill's folder")
    verb.add_argument("--live", action="store_true", help="take whatever the package index serves today")
    verb.add_argument("--folder", metavar="DIR", help="where to play (default: a temporary folder)")
