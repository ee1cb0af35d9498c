"""`backout review`: the file in the user's editor, taken in again; and its end. What was typed is never lost."""

from __future__ import annotations

import contextlib
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backout import bootstrap
from backout.cli.editor import edit_in_place
from backout.cli.person import who
from backout.cli.reminding import remind
from backout.cli.screens import put, put_json, screen
from backout.config.find import load
from backout.errors import BackoutError, InterruptedError, UsageError
from backout.flow.export import newest
from backout.flow.review import ClashError, MistakesError, Reviewing, Saved
from backout.flow.reviewed import NotClosedError, close, document
from backout.flow.second_letters import second_letters
from backout.model.review import read
from backout.store.journal import Journal

if TYPE_CHECKING:
    from backout.store.drafts import Draft


def review(options: Namespace) -> int:
    """`backout review`, and each of its actions."""
    if options.act in ("guard", "prove"):
        from backout.cli import proving  # it reaches hosts; a file is edited without any

        return proving.review(options)
    with contextlib.closing(bootstrap.journal()) as journal:
        reviewing = _meant(options, journal)
        if options.act == "close":
            _close(options, reviewing)
        elif options.file is not None:
            reviewing.require_open()
            _tell(options, reviewing, _take(options, reviewing, Path(options.file)))
        elif options.json:
            _tell(options, reviewing, None)
        elif options.print:
            put(reviewing.opened().content)
        else:
            reviewing.require_open()
            _edit(options, reviewing)
        remind(journal, reviewing.config, silent=options.json or options.quiet)
    return 0


def _meant(options: Namespace, journal: Journal) -> Reviewing:
    """Find the incident that is meant; a file that is taken in says it itself."""
    named = options.incident
    if named is None and options.file is not None:
        named = read(_read(options.file).decode(errors="replace")).incident or None
    return Reviewing(journal, load(options.config), newest(journal, named), str(who()), time.time())


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.", next="backout review --from FILE") from None


def _edit(options: Namespace, reviewing: Reviewing) -> None:
    """Let the user edit the file where it lies until what was typed is on record."""
    if not (sys.stdin.isatty() or _has_editor()):
        way = "Edit it elsewhere: backout review --print > FILE, then: backout review --from FILE"
        raise UsageError("There is no terminal to edit it on, and neither VISUAL nor EDITOR is set.", next=way)
    with bootstrap.draft(reviewing.incident.id) as draft:
        begun = _laid_out(reviewing, draft)
        with _kept(draft, begun, f"backout review --incident {reviewing.incident.id} opens it again."):
            edit_in_place(draft.path, holding=[draft.descriptor])
            saved = _take(options, reviewing, draft.path, draft)
        draft.path.unlink(missing_ok=True)
        _tell(options, reviewing, saved)


def _has_editor() -> bool:
    import os

    return bool(os.environ.get("VISUAL") or os.environ.get("EDITOR"))


def _laid_out(reviewing: Reviewing, draft: Draft) -> bytes | None:
    """Put the file where it is edited, and give what it holds; None where it was left there with what was typed."""
    if draft.is_left and reviewing.holds_more(draft.read()):
        said = f"What was typed into this review before, and not saved, lies in {draft.path}."
        if not sys.stdin.isatty():
            sys.stderr.write(f"{said} It is opened again.\n")
            return None
        if _yes(f"{said} Go on with it? [Y/n] "):
            return None
        sys.stderr.write(f"It lies in {draft.put_away()} now; the review is opened as it was saved last.\n")
    draft.write(reviewing.opened().content)
    return draft.read()


def _yes(question: str) -> bool:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() not in ("n", "no")


@contextlib.contextmanager
def _kept(draft: Draft, begun: bytes | None, way: str) -> Iterator[None]:
    """Keep what was typed whatever goes wrong, and say where it lies; where nothing was typed, nothing is kept."""
    try:
        yield
    except (BackoutError, KeyboardInterrupt) as failed:
        error = failed if isinstance(failed, BackoutError) else InterruptedError("Interrupted.")
        error.state = "Nothing was saved."
        if draft.is_left and draft.read().strip() in (b"", (begun or b"").strip()):
            draft.path.unlink()
        elif draft.is_left:
            what = "both ways of putting it are" if isinstance(error, ClashError) else "your text is"
            error.state = f"Nothing was saved; {what} kept in {draft.path}."
            error.next = way
        raise error from None


def _take(options: Namespace, reviewing: Reviewing, path: Path, draft: Draft | None = None) -> Saved:
    """Put the file on record; what is wrong with it is told line by line."""
    content = draft.read() if draft is not None else _read(str(path))
    try:
        with bootstrap.saving():
            return reviewing.save(content)
    except MistakesError as error:
        if not options.json:
            _list(path, error)
            error.what = _count(len(error.problems), "line keeps", "lines keep") + " the review from being saved."
        error.state = f"Nothing was saved; {path} is as it was."
        error.next = f"Mend it, then: backout review --from {path}"
        raise
    except ClashError as error:
        if draft is not None:
            draft.write(error.content)
        else:
            error.state, error.next = _laid_aside(reviewing, error.content)
        raise


def _laid_aside(reviewing: Reviewing, content: str) -> tuple[str, str]:
    """Put both ways where the next `review` opens them; the user's own file stays as it is."""
    with bootstrap.draft(reviewing.incident.id) as draft:
        if draft.is_left:
            draft.put_away()
        draft.write(content)
        return f"Nothing was saved; both ways of putting it lie in {draft.path}.", "backout review opens them."


def _list(path: Path, error: MistakesError) -> None:
    for line, what in error.problems:
        sys.stderr.write(f"{screen(None, sys.stderr).visible(f'{path}:{line}: {what}')}\n")


def _count(number: int, one: str, many: str) -> str:
    return f"1 {one}" if number == 1 else f"{number} {many}"


def _tell(options: Namespace, reviewing: Reviewing, saved: Saved | None, drafts: Sequence[dict[str, Any]] = ()) -> None:
    told = {**document(reviewing, saved), **({"drafts": list(drafts)} if drafts else {})}
    if saved is not None and not saved.is_new and not options.json:
        sys.stderr.write("Nothing was changed, so nothing was saved.\n")
    if saved is not None and saved.opens_again and not options.json:
        sys.stderr.write("It was closed, and is open again.\n")
    if options.json:
        put_json(told, "actions")
    elif not options.quiet:
        from backout.render.reviewed import reviewed  # only where it is drawn

        put(reviewed(told, screen(options)))


def _close(options: Namespace, reviewing: Reviewing) -> None:
    try:
        with bootstrap.saving():
            close(reviewing)
            drafts = second_letters(reviewing, bootstrap.new_change_id)
    except NotClosedError as error:
        if not options.json:
            visible = screen(None, sys.stderr).visible
            sys.stderr.writelines(f"{visible(f'line {line}: {what}')}\n" for line, what in error.problems)
            things = _count(len(error.problems), "thing is", "things are")
            error.what = f"{things} in the way: the review of {reviewing.incident.id} is not closed."
        raise
    _tell(options, reviewing, None, drafts)
