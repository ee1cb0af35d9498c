"""backout.toml is found upward, and believed only where no stranger could have put it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backout.config.find import find, load
from backout.config.values import Config
from backout.errors import ConfigError

LOCAL = '[environments.prod]\nhosts = ["local"]\n'


def written(path: Path, text: str = LOCAL) -> Path:
    """Write the file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_nearest_file_above_is_the_one_that_counts(tmp_path: Path) -> None:
    """People work in subfolders; the project's file holds there, too."""
    written(tmp_path / "backout.toml")
    near = written(tmp_path / "shop" / "backout.toml")
    below = tmp_path / "shop" / "app" / "static"
    below.mkdir(parents=True)
    assert find(below) == near
    assert load(folder=str(below)).path == str(near)


def test_no_file_is_as_good_as_an_empty_one(tmp_path: Path) -> None:
    """The first command must work before anything is configured."""
    assert load(folder=str(tmp_path)) == Config()


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Falling back to another file would run without the checks that were asked for."""
    with pytest.raises(ConfigError, match=r"gone\.toml cannot be read: No such file or directory"):
        load(str(tmp_path / "gone.toml"))


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    """A wrong --config must end in a sentence, not in a traceback."""
    path = tmp_path / "backout.toml"
    path.write_bytes(b"run = '\xff'")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(str(path))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(str(tmp_path))


def test_a_dangling_link_is_an_error_and_not_an_invitation_to_look_further_up(tmp_path: Path) -> None:
    """The file above is another project's."""
    written(tmp_path / "backout.toml")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "backout.toml").symlink_to("gone")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(folder=str(tmp_path / "shop"))


def test_a_file_that_everyone_can_write_is_not_believed_unless_named(tmp_path: Path) -> None:
    """Its checks are commands: found in /tmp by root, it would be a stranger's way to become root."""
    path = written(tmp_path / "backout.toml")
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="can be written by everyone") as refused:
        load(folder=str(tmp_path))
    assert f"--config {path}" in refused.value.next
    assert load(str(path)).path == str(path)


def test_a_strangers_file_above_our_folder_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may create files in a folder above ours must not choose what runs as us."""
    path = written(tmp_path / "backout.toml")
    mine = os.stat
    stranger = list(path.stat())
    stranger[4] = 4242  # st_uid, which only root could give away for real

    def stat(self: Path) -> os.stat_result:
        return os.stat_result(stranger) if self == path else mine(self)

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(ConfigError, match="belongs to the user 4242"):
        find(tmp_path)
