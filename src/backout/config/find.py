"""Where backout.toml is, and whether to believe it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backout.errors import ConfigError

if TYPE_CHECKING:  # who only asks for a word must not wait for what reads the whole
    from backout.config.values import Config

FILE_NAME = "backout.toml"


def load(file: str | None = None, folder: str | None = None) -> Config:
    """Read the file named, else the one found upward from the folder (default: the working one), else nothing.

    A named file that is not there, and any file that cannot be read or is wrong, is a ConfigError.
    """
    from backout.config.parse import parse
    from backout.config.values import Config

    path = Path(file) if file is not None else find(Path(folder) if folder is not None else here())
    if path is None:
        return Config()
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from None


def mentions(word: str, file: str | None = None) -> bool:
    """Tell quickly whether the file that `load` would read has a word in it, whatever it means there."""
    path = Path(file) if file is not None else find(here())
    try:
        return path is not None and word.encode() in path.read_bytes()
    except OSError as error:
        raise unreadable(path or "", error) from None


def tables(path: str | None, name: str) -> list[dict[str, Any]]:
    """Give an array of tables of a file that was loaded, as it stands there; none where there is no file."""
    import tomllib

    try:
        values = {} if path is None else tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} was changed while it was read: {error}.", next="Try again.") from None
    found: list[dict[str, Any]] = values.get(name, [])
    return found


def unreadable(path: Path | str, error: OSError | UnicodeDecodeError) -> ConfigError:
    """Say that a backout.toml cannot be read, and why."""
    if isinstance(error, UnicodeDecodeError):
        return ConfigError(f"{path} is not UTF-8 text (byte {error.start}).")
    return ConfigError(f"{path} cannot be read: {error.strerror}.", next="Name another file with --config.")


def here() -> Path:
    """Give the working folder; a ConfigError when it is gone."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ConfigError(
            "The working directory is not there any more.", next="cd to a folder that is there, then try again."
        ) from None


def find(folder: Path) -> Path | None:
    """Give the nearest backout.toml in the folder or above it; None where there is none."""
    folder = folder.resolve()
    for candidate in (place / FILE_NAME for place in (folder, *folder.parents)):
        if os.path.lexists(candidate):
            _require_trusted(candidate, folder)
            return candidate
    return None


def _require_trusted(path: Path, folder: Path) -> None:
    """Refuse a file that a stranger could have put in our way: its checks are commands, and may run as root.

    It must belong to us, to root or to the owner of the folder we stand in. The rule follows git's safe.directory
    (CVE-2022-24765). A file named with --config is not asked.
    """
    try:
        info = path.stat()
        trusted = {0, os.geteuid(), folder.stat().st_uid}
    except OSError:  # said better when it is read
        return
    if info.st_uid in trusted and not info.st_mode & stat.S_IWOTH:
        return
    problem = "can be written by everyone" if info.st_mode & stat.S_IWOTH else f"belongs to the user {info.st_uid}"
    raise ConfigError(
        f"{path} {problem}, and its commands would run as you.",
        next=f"When you trust it, name it: --config {path}",
    )
