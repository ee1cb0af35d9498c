"""One function a command: gather what the flow needs, call it, draw what it gives."""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backout import bootstrap
from backout.cli import begin_here
from backout.cli.person import who
from backout.cli.screens import Console, put, put_bytes, put_json, screen, there
from backout.config.find import load
from backout.config.values import LOCAL, Command, Config, Environment
from backout.errors import BackoutError, ConfigError, NotPossibleError, UsageError
from backout.flow import record
from backout.flow.back import Target
from backout.flow.back import back as go_back
from backout.flow.back import pause as go_pause
from backout.flow.rehearse import Wanted
from backout.flow.rehearse import rehearse as measure_only
from backout.flow.run import redo
from backout.flow.run import run as apply
from backout.flow.session import Session, require_finished
from backout.model.selector import parse_selector

if TYPE_CHECKING:
    from backout.cli.editor import Edited
    from backout.flow.fleet import Fleet
    from backout.flow.guards import Guarding
    from backout.flow.staged import Twin


def _require_linux() -> None:
    if sys.platform != "linux":
        raise NotPossibleError(
            "Rehearsals need Linux; this is " + sys.platform + ".", next="Run backout on the Linux host itself."
        )


@contextlib.contextmanager
def _session(
    options: Namespace, environment: Environment | None = None, config: Config | None = None
) -> Iterator[tuple[Session, Console]]:
    """Open the host and the journal for the time of one command; with the `config`, what its change is held against."""
    twin, guarding = (None, None) if config is None else _held_against(options, config, environment)
    host, become = _host(options, environment)
    if host == LOCAL and options.begun is None:
        _require_linux()
        begin_here(options)  # before the console, which starts a thread
    console = Console(options)
    journal = bootstrap.journal()
    try:
        with bootstrap.link_to(host, become, console.event, options.begun) as link:
            new_id = bootstrap.new_change_id
            session = Session(link, journal, environment, who(), console, new_id, twin=twin, guarding=guarding)
            if options.verb not in ("recover", "doctor"):  # these look after a record that cannot be read
                session.learn()
                _warn_of_unfinished(options, session)
            yield session, console
    except BackoutError as error:
        error.next = there(error.next, options)
        raise
    finally:
        console.done()
        journal.close()


@contextlib.contextmanager
def _fleet(options: Namespace, environment: Environment) -> Iterator[tuple[Fleet, Console]]:
    """Reach the hosts of an environment, and open a journal beside each, for the time of one command."""
    from backout.flow.fleet import At, Fleet  # its threads are a tenth of what a command on one host imports

    if LOCAL in environment.hosts and options.begun is None:
        _require_linux()
        begin_here(options)  # before there are threads
    console, person = Console(options), who()

    @contextlib.contextmanager
    def opened(host: str) -> Iterator[Session]:
        begun, on_the_way = options.begun if host == LOCAL else None, partial(fleet.on_the_way, host)
        with (
            contextlib.closing(bootstrap.journal()) as journal,
            bootstrap.link_to(host, environment.become, lambda *_: None, begun, on_the_way) as link,
        ):
            session = Session(link, journal, environment, person, At(console, host), bootstrap.new_change_id, host)
            if options.verb not in ("recover", "doctor"):
                session.learn()
            yield session

    fleet = Fleet(environment.hosts, opened)
    try:
        console.step(f"reaching {len(fleet.hosts)} hosts")
        fleet.reach()
        for warning in fleet.warnings:
            sys.stderr.write(f"{warning}\n")
        yield fleet, console
    except BackoutError as error:
        error.next = there(error.next, options)
        raise
    finally:
        fleet.close()
        console.done()


def _held_against(
    options: Namespace, config: Config, environment: Environment | None
) -> tuple[Twin | None, Guarding | None]:
    """Give what a change is held against: the environment that this one should be like, and the guards."""
    guarding = None
    if config.guards or options.override:
        from backout.cli.guarding import guarding as guarding_of  # rules: nobody else waits for their import

        guarding = guarding_of(options, config, environment)
    return _twin(options, config, environment, guarding), guarding


def _twin(
    options: Namespace, config: Config, environment: Environment | None, guarding: Guarding | None
) -> Twin | None:
    """Give the environment that this one should be like, and the way to its hosts."""
    if environment is None or environment.same_as is None:
        return None
    from backout.flow.staged import Twin

    other = config.environment(environment.same_as)
    theirs = {"environment": other.name, "verb": "log", "quiet": True, "begun": None, "interactive": False}
    there = Namespace(**{**vars(options), **theirs})
    if LOCAL in other.hosts:
        _require_linux()
        begin_here(there)  # before there are threads
    judged = guarding is not None and guarding.needs("staging")
    return Twin(other.name, environment.name, environment.differs, judged, lambda: _fleet(there, other))


def _warn_of_unfinished(options: Namespace, session: Session) -> None:
    """Notice a half-applied change in every command; those that would build on it refuse by themselves."""
    if options.verb not in ("run", "edit", "back"):
        for change in session.unfinished():
            sys.stderr.write(there(f"Change {change} was left unfinished by a crash: backout recover\n", options))


def _host(options: Namespace, environment: Environment | None) -> tuple[str, str | None]:
    """Name the one host of a command, and how to become root there; without -e it is this machine."""
    if environment is None or options.environment is None:
        return LOCAL, None
    if len(environment.hosts) > 1:
        raise NotPossibleError(
            f"Environment {environment.name} has {len(environment.hosts)} hosts; backout {options.verb} works on one.",
            next="Give that host an environment of its own.",
        )
    (host,) = environment.hosts
    if host == LOCAL:
        return LOCAL, None
    if getattr(options, "interactive", False):
        raise NotPossibleError(f"{host}: --interactive works on this machine alone.", next="Leave it out.")
    return host, environment.become


def _also_on_several(alone: Callable[[Namespace], int]) -> Callable[[Namespace], int]:
    """Let a command take its namesake in `cli.several` where the environment of -e has several hosts."""

    @wraps(alone)
    def call(options: Namespace) -> int:
        environment = _chosen(options)
        if environment is None or len(environment.hosts) == 1:
            return alone(options)
        from backout.cli import several

        return int(getattr(several, options.verb)(options, environment))

    return call


def _several(options: Namespace, environment: Environment | None) -> Environment | None:
    """Give the environment where it has several hosts; a host alone is like no other."""
    if options.environment is not None and environment is not None and len(environment.hosts) > 1:
        return environment
    if options.odd:
        raise UsageError("--odd names hosts of an environment with several.", next=f"backout {options.verb} --help")
    return None


def _chosen(options: Namespace) -> Environment | None:
    """Give the environment of -e; without it none, and no configuration is read: the record is there without one."""
    return None if options.environment is None else load(options.config).environment(options.environment)


def _environment(options: Namespace, config: Config) -> Environment | None:
    return config.local_environment() if options.environment is None else config.environment(options.environment)


def _environment_at_any_price(options: Namespace) -> Environment | None:
    """Go back without checks rather than not at all: what is wrong may be the very file that was changed."""
    try:
        return _environment(options, load(options.config))
    except ConfigError as error:
        if options.config or options.environment:
            raise
        sys.stderr.write(f"{error.what} Going back without the checks in it.\n")
        return None


def _wanted(options: Namespace, environment: Environment | None, named: Command | None) -> Wanted:
    """Put together what was asked for: the command line first, then the named command, then the environment."""
    argv = tuple(options.command) if named is None else (named.run,)
    expect = tuple(parse_selector(text) for text in options.expect)
    here = options.begun is not None  # nothing of ours goes to another machine
    return Wanted(
        argv=argv,
        cwd=os.getcwd() if here else None,
        environ=dict(os.environ) if here else None,
        expect=expect + (named.expect if named else ()),
        network=options.network or (named and named.network) or (environment and environment.network) or "packages",
        network_allow=environment.network_allow if environment else (),
        timeout_s=options.timeout if options.timeout is not None else named and named.timeout_s,
        ok_exit=options.ok_exit or (named.ok_exit if named else (0,)),
        allow_failure=options.allow_failure,
        why=getattr(options, "why", ""),
        accept=options.accept,
        yes=getattr(options, "yes", False),
        after=getattr(options, "after", None),
        stdin=options.stdin,
        terminal=options.interactive,
        twice=getattr(options, "twice", False),
        name=named.name if named else "",
    )


def rehearse(options: Namespace) -> int:
    """`backout rehearse`."""
    if not options.command and options.name is None:
        raise UsageError("There is no command to rehearse.", next="backout rehearse -- CMD…")
    if options.command and options.name is not None:
        raise UsageError("Give one of: a command after --, or the name of one.", next="backout rehearse --help")
    config = load(options.config)
    environment = _environment(options, config)
    named = None if options.name is None else config.command(options.name, options.verb)
    if several := _several(options, environment):
        from backout.cli import rollout

        return rollout.rehearse(options, several, named, config)
    with _session(options, environment, config) as (session, console):
        wanted = _wanted(options, environment, named)
        document, code = measure_only(session, wanted)
        console.show(document)
    return code


def run(options: Namespace) -> int:
    """`backout run`."""
    given = [bool(options.command), options.name is not None, options.change is not None, options.resume is not None]
    if sum(given) != 1 and given != [True, False, False, True]:  # a resume may need the command once more
        one_of = "a command after --, the name of one, --change ID, or --resume ID"
        raise UsageError(f"Give one of: {one_of}.", next="backout run --help")
    config = load(options.config)
    environment = _environment(options, config)
    named = config.command(options.name) if options.name else None
    if several := _several(options, environment):
        from backout.cli import rollout

        return rollout.run(options, several, named, config)
    if options.resume is not None:
        raise UsageError("--resume goes on with a rollout over several hosts.", next="backout run --help")
    with _session(options, environment, config) as (session, console):
        wanted = _wanted(options, environment, named)
        with _told_once(console):
            document, code = redo(session, options.change, wanted) if options.change else apply(session, wanted)
        console.show(document)
    return code


@contextlib.contextmanager
def _told_once(console: Console) -> Iterator[None]:
    """Mark an error whose document --json already wrote, so that stdout holds one document."""
    try:
        yield
    except BackoutError as error:
        error.shown = console.told_all
        raise


def edit(options: Namespace) -> int:
    """`backout edit`."""
    from backout.cli.editor import edited, edited_there

    config = load(options.config)
    environment = _environment(options, config)
    with _session(options, environment, config) as (session, console):
        require_finished(session)  # before the editor: nobody's work is to be lost by a refusal
        here = options.begun is not None
        with edited(os.path.realpath(options.file)) if here else edited_there(session.link, options.file) as edit:
            if not (edit.is_changed or options.json):
                put(f"{options.file} is unchanged.\n")
                return 0
            edit.require_unmoved()
            with _told_once(console):
                document, code = apply(session, _edit_wanted(options, edit, None if here else session))
        console.show(document)
    return code


_WRITE = 'if [ -n "$3" ]; then cmp -s "$3" "$2"; else [ ! -e "$2" ]; fi && { cmp -s "$1" "$2" || cat "$1" > "$2"; }'
"""Write the copy over the file, in place, if that still is what the editor was given, asked in the view at its base."""


def _edit_wanted(options: Namespace, edit: Edited, there: Session | None) -> Wanted:
    """Write the edited copy over the file, and expect just that; on another host, with copies that are laid there."""
    file, original, copy = str(edit.file), str(edit.original or ""), str(edit.copy)
    if there is not None:
        data = [path and base64.b64encode(Path(path).read_bytes()).decode() for path in (original, copy)]
        original, copy = there.link.ask("lay", original=data[0] if original else None, copy=data[1])
    return Wanted(
        argv=("/bin/sh", "-c", _WRITE, "edit", copy, file, original),
        cwd=None if there else os.getcwd(),
        environ=None if there else dict(os.environ),
        expect=(parse_selector(f"file:{_literal(file)}"),),
        network="none",
        why=options.why,
        accept=options.accept,
        yes=options.yes,
        after=options.after,
        recorded=("backout", "edit", file),
        advice=f"Look whether the file can be written and is as it was: ls -l {shlex.quote(file)}",
    )


def _literal(path: str) -> str:
    """Write a path as a glob that matches itself alone."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)


@_also_on_several
def back(options: Namespace) -> int:
    """`backout back`."""
    environment = _environment_at_any_price(options)
    with _session(options, environment) as (session, console):
        target = Target(options.change, options.until_healthy, options.edits, options.why)
        document, code = go_back(session, target)
        console.done()
        for reason in document["reasons"]:
            reason["next"] = there(reason["next"], options)
        _answer(options, document, "back")
        if document["undone"]:
            _offer_pause(options, session, console)
    return code


def _offer_pause(options: Namespace, session: Session, console: Console) -> None:
    """Name what would apply the change again, and pause it where that is wanted and possible."""
    found = session.link.ask("enforcers")
    units = [enforcer["unit"] for enforcer in found if enforcer["unit"]]
    if not found or (options.json and not options.pause):
        return
    if not options.quiet and not options.json:
        named = ", ".join(f"{enforcer['name']} ({enforcer['how']})" for enforcer in found)
        sys.stderr.write(f"These may apply again what was taken back: {named}.\n")
    if units and (options.pause or console.ask(f"Pause {', '.join(units)}?")):
        change = session.new_id()
        go_pause(session, units, change)
        if not options.json:
            sys.stderr.write(f"Paused as change {change}; backout back {change} starts them again.\n")


@_also_on_several
def recover(options: Namespace) -> int:
    """`backout recover`."""
    with _session(options, _chosen(options)) as (session, _):
        document = record.recover(session)
    _answer(options, document, "recovered")
    return 0


@_also_on_several
def log(options: Namespace) -> int:
    """`backout log`."""
    from backout.cli.reminding import owing  # the rest of the commands need not wait for it

    with _session(options, _chosen(options)) as (session, _):
        document = record.log(session)
    document["changes"] = document["changes"][: options.last]
    _answer(options, {**document, **owing(options)}, "log")
    return 0


def show(options: Namespace) -> int:
    """`backout show`, of a change or of an incident."""
    if options.on_host:
        return _show_change(options)
    from backout.cli.export import timeline

    return timeline(options)


@_also_on_several
def _show_change(options: Namespace) -> int:
    with _session(options, _chosen(options)) as (session, _):
        change, effects = record.show(session, options.change)
        said = record.output(session, options.change) if options.output else b""
    if options.json:
        put_json(effects if effects is not None else {"schema": "backout.changes/1", "changes": [change]})
    else:
        from backout.render.change import show as show_text

        put(show_text(change, effects, screen(options)))
        put_bytes(sys.stdout, [said])
    return 0


@_also_on_several
def gc(options: Namespace) -> int:
    """`backout gc`."""
    with _session(options, _chosen(options)) as (session, _):
        document = record.gc(session, options.older_than, standing=options.standing, dry_run=options.dry_run)
    _answer(options, document, "gc")
    return 0


@_also_on_several
def doctor(options: Namespace) -> int:
    """`backout doctor`."""
    with _session(options, _chosen(options)) as (session, _):
        document = record.doctor(session)
    _answer(options, document, "doctor")
    return 0 if document["ok"] else 7


def _answer(options: Namespace, document: dict[str, Any], drawing: str) -> None:
    """Give a document: as it is, or drawn by the function of that name."""
    if options.json:
        put_json(document)
        return
    from backout.render import change

    put(getattr(change, drawing)(document, screen(options)))


def init(options: Namespace) -> int:
    """`backout init`."""
    from backout.cli.starting import write_config

    return write_config(options)


def drill(options: Namespace) -> int:
    """`backout drill`."""
    words = [name for name in ("--keep", "--live", "--json") if getattr(options, name[2:])]
    words += ["--folder", options.folder] if options.folder else []
    sys.stdout.flush()
    # In this process's place, so that Ctrl-C and SIGTERM reach the drill, which then cleans up.
    os.execv(sys.executable, [sys.executable, "-m", "backout.drill", *words])  # noqa: S606 - no shell is the point
