"""The user's editor on a copy of a file."""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from backout.errors import BackoutError, ConflictError, FailedError, InterruptedError, UsageError
from backout.link.wire import Link


class Edited(NamedTuple):
    """An edit: the file, what it was when the editor opened (None: it was not there), and the edited copy.

    `now` gives what the file holds now.
    """

    file: Path
    original: Path | None
    copy: Path
    now: Callable[[], bytes | None]

    @property
    def is_changed(self) -> bool:
        """Tell whether the editor left anything else than it found."""
        return self.copy.read_bytes() != (b"" if self.original is None else self.original.read_bytes())

    def require_unmoved(self) -> None:
        """Raise a ConflictError when somebody else changed the file while the editor was open (law 4)."""
        if self.now() != (None if self.original is None else self.original.read_bytes()):
            raise ConflictError(
                f"{self.file} was changed by somebody else while you edited it.", next=f"backout edit {self.file}"
            )


@contextlib.contextmanager
def edited_there(link: Link, file: str) -> Iterator[Edited]:
    """Let the user edit a copy of a file of another host; like `edited`."""
    given = link.ask("give_out", path=file)["path"]

    def now() -> bytes | None:
        data = link.ask("give_out", path=given)["data"]
        return None if data is None else base64.b64decode(data)

    with _opened(Path(given), now) as edit:
        yield edit


@contextlib.contextmanager
def edited(file: str) -> Iterator[Edited]:
    """Let the user edit a copy, and give what came of it.

    The copy is gone afterwards; but where an error says that it was not applied, it is kept, and the error names it.

    $VISUAL, then $EDITOR, then vi (environ(7)). An editor that fails, or a file that cannot be written, is an error.
    """
    path = Path(file)
    _require_editable(path)
    with _opened(path, lambda: path.read_bytes() if path.is_file() else None) as edit:
        yield edit


@contextlib.contextmanager
def _opened(path: Path, now: Callable[[], bytes | None]) -> Iterator[Edited]:
    try:
        content = now()
    except OSError as error:
        raise FailedError(f"{path} cannot be read: {error.strerror}.") from None
    folder = Path(tempfile.mkdtemp(prefix="backout-edit-"))
    edit = Edited(path, None if content is None else folder / "original", folder / path.name, now)
    try:
        _copy(edit, content)
        edit_in_place(edit.copy)
        yield edit
    except BackoutError as error:
        if edit.copy.exists() and edit.is_changed:
            error.state = f"{error.state} Your text is kept in {edit.copy}."
        else:
            shutil.rmtree(folder)
        raise
    except BaseException:
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)


def _require_editable(path: Path) -> None:
    """Find out before the editor opens what would make the work in it pointless."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file.", next="backout edit FILE")
    if not path.parent.is_dir():
        raise FailedError(f"The folder {path.parent} is not there.", next=f"mkdir -p {shlex.quote(str(path.parent))}")
    asked = path if path.exists() else path.parent
    if not os.access(asked, os.W_OK):
        raise FailedError(f"You may not write {asked}.", next="Run backout with sudo, or edit another file.")


def _copy(edit: Edited, content: bytes | None) -> None:
    try:
        if edit.original is not None:
            edit.original.write_bytes(content or b"")
        edit.copy.write_bytes(content or b"")
    except OSError as error:
        raise FailedError(f"{edit.copy} cannot be written: {error.strerror}.") from None


def edit_in_place(path: Path, *, holding: Iterable[int] = ()) -> None:
    """Let the user's editor at a file, until it ends; it gets the descriptors of what is held as long as it runs.

    Ctrl-C is the editor's own; one that ends by it is an InterruptedError. One that cannot be started, or that fails,
    is a FailedError.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    before = signal.signal(signal.SIGINT, lambda *_: None)  # unlike SIG_IGN not what the editor starts with
    try:
        with subprocess.Popen([*shlex.split(editor), str(path)], pass_fds=tuple(holding)) as running:
            code = running.wait()
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise FailedError(f"The editor {editor!r} cannot be started: {said}.", next="Set EDITOR.") from None
    finally:
        signal.signal(signal.SIGINT, before)
    if code == -signal.SIGINT:
        raise InterruptedError("The editor was interrupted.")
    if code != 0:
        ended = f"was ended by signal {-code}" if code < 0 else f"exited {code}"
        raise FailedError(f"The editor {ended}.", next="Edit again, and leave it with a save.")
