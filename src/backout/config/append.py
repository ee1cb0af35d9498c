"""One table more at the end of backout.toml: all that is there stays as it is, byte for byte."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from backout.config.find import FILE_NAME, find, here, unreadable
from backout.config.parse import parse
from backout.config.values import Config
from backout.config.writing import is_writable, table
from backout.errors import BackoutError, ConfigError, ConflictError, FailedError, UsageError
from backout.host.alone import alone_in


class Appended(NamedTuple):
    """A backout.toml with one table more, not written yet: `config` is what it will say, `added` the new lines."""

    path: str
    before: bytes
    added: str
    config: Config

    def write(self) -> None:
        """Put it in the file's place, at once: whoever reads sees the old one or the new one, also after a power cut.

        Mode, owner and attributes are kept, and a link stays a link. ConflictError when the file is not as it was read.
        """
        real = os.path.realpath(self.path)
        try:
            with alone_in(os.path.dirname(real)), _copy(real) as (copy, content):
                if content != self.before:
                    raise ConflictError(
                        f"{self.path} was changed by somebody else meanwhile.", next="Look at it, and try again."
                    )
                _extend(copy, self.added.encode())
                os.replace(copy, real)
                _make_durable(os.path.dirname(real))
        except OSError as error:
            raise _unwritable(self.path, error.strerror or str(error)) from None


def located(file: str | None) -> str:
    """Give the backout.toml that would be read: the one named, or the one found upward from here."""
    path = file if file is not None else find(here())
    if path is None or not os.path.lexists(path):
        where = "in this folder or above it" if file is None else f"at {file}"
        raise ConfigError(f"There is no {FILE_NAME} {where}.", next="backout init writes one.")
    return str(path)


def appended(path: str, name: str, values: Mapping[str, object]) -> Appended:
    """Read the file, and what it would be with `[[name]]` at its end, as the next command would.

    ConfigError when either is wrong, FailedError when the file could not be written.
    """
    _require_texts(values)
    before = _read(path)
    text = before.decode("utf-8")
    parse(_as_loaded(text), path)
    _require_array(_as_loaded(text), path, name)
    added = _between(text) + table(name, values)
    if "\r\n" in text:
        added = added.replace("\n", "\r\n")
    try:
        config = parse(_as_loaded(text + added), path)
    except ConfigError as error:
        error.state = f"Nothing was written to {path}."
        raise
    return Appended(path, before, added, config)


def _read(path: str) -> bytes:
    try:
        content = Path(path).read_bytes()
        mode = os.stat(path).st_mode
        content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from None
    # root may write what nobody is meant to write
    if not os.access(path, os.W_OK) or not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        raise _unwritable(path, "it is read-only")
    return content


def _as_loaded(text: str) -> str:
    """Give a text as `config.find.load` reads it: with a line feed at each line's end, whatever is in the file."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _unwritable(path: str, why: str) -> BackoutError:
    return FailedError(f"{path} cannot be written: {why}.", next=f"ls -ld {shlex.quote(os.path.realpath(path))}")


def _require_texts(values: Mapping[str, object]) -> None:
    for key, value in values.items():
        texts = value if isinstance(value, list | tuple) else [value]
        if not all(is_writable(text) for text in texts if isinstance(text, str)):
            raise UsageError(f"The value of {key} holds bytes that are not UTF-8, which a TOML file cannot hold.")


def _require_array(text: str, path: str, name: str) -> None:
    """Refuse a file that says `guards = [...]`: TOML closes such an array, so that nothing can be added to it below."""
    try:
        tomllib.loads(f"{text}\n[[{name}]]\n")
    except tomllib.TOMLDecodeError:
        raise ConfigError(
            f"{path} has {name} as one list, {name} = […], to which nothing can be appended.",
            next=f"Write each as a table of its own, [[{name}]], and try again.",
        ) from None


def _between(text: str) -> str:
    """Give what sets the new table apart: one blank line."""
    if not text:
        return ""
    ends = text.replace("\r\n", "\n")
    return "" if ends.endswith("\n\n") else "\n" if ends.endswith("\n") else "\n\n"


@contextmanager
def _copy(path: str) -> Iterator[tuple[str, bytes]]:
    """Give a copy beside the file, with its mode, owner and attributes, and what is in it; gone when it is not used."""
    handle, copy = tempfile.mkstemp(prefix=f".{FILE_NAME}.", dir=os.path.dirname(path))
    os.close(handle)
    try:
        shutil.copy2(path, copy)
        owner, mine = os.stat(path), os.stat(copy)
        if (owner.st_uid, owner.st_gid) != (mine.st_uid, mine.st_gid):
            _give(copy, owner, path)
        yield copy, Path(copy).read_bytes()
    finally:
        with suppress(FileNotFoundError):
            os.unlink(copy)


def _give(copy: str, owner: os.stat_result, path: str) -> None:
    """Give the copy to whom the file belongs: under another owner its commands would not be trusted any more."""
    try:
        os.chown(copy, owner.st_uid, owner.st_gid)
        os.chmod(copy, stat.S_IMODE(owner.st_mode))
    except PermissionError:
        raise FailedError(
            f"{path} belongs to another user or group, which only root can keep so.", next="Try again with sudo."
        ) from None


def _extend(path: str, added: bytes) -> None:
    with open(path, "ab") as file:
        file.write(added)
        file.flush()
        os.fsync(file.fileno())


def _make_durable(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
