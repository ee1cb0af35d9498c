"""One guard more in a file that people wrote: nothing of theirs is touched, and what comes out can be read."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.config.append import appended, located
from backout.config.parse import parse
from backout.errors import BackoutError, ConfigError, ConflictError, FailedError, UsageError

STAGED = {"rule": "staged-first", "why": "it was not the same"}
FILE = """\
# ours: do not sort
[environments.staging]   # tried here
hosts = ["web2"]

[environments.production]
hosts = ["web1"]
same_as = "staging"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A backout.toml with comments."""
    path = tmp_path / "backout.toml"
    path.write_text(FILE)
    return path


def add(path: Path) -> None:
    """Append the guard."""
    appended(str(path), "guards", STAGED).write()


def left_over(path: Path) -> list[str]:
    """What is beside the file."""
    return [name for name in os.listdir(path.parent) if name != path.name]


def test_what_was_there_stays_byte_for_byte_and_the_guard_is_read(file: Path) -> None:
    """Comments and order are what people know their file by."""
    new = appended(str(file), "guards", STAGED)
    assert file.read_text() == FILE
    new.write()
    assert file.read_text() == FILE + new.added
    assert new.added == '\n[[guards]]\nrule = "staged-first"\nwhy = "it was not the same"\n'
    assert parse(file.read_text(), str(file)) == new.config
    assert [guard.why for guard in new.config.guards] == ["it was not the same"]
    assert left_over(file) == []


@given(
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.sampled_from(["", "# a comment", "[commands.x]\nrun = 'true'", "   ", "\t# tab"]), unique=True),
    st.booleans(),
)
def test_any_ending_of_a_file_takes_a_table(
    tmp_path_factory: pytest.TempPathFactory, ending: str, lines: list[str], ended: bool
) -> None:
    """With a last newline or without, with our line endings or Windows': the old bytes begin the new ones."""
    path = tmp_path_factory.mktemp("files") / "backout.toml"
    text = "\n".join(lines).replace("\n", ending) + (ending if ended else "")
    path.write_bytes(text.encode())
    add(path)
    written = path.read_bytes()
    assert written.startswith(text.encode())
    assert len(parse(written.decode()).guards) == 1
    if "\r\n" in text:
        assert written.count(b"\n") == written.count(b"\r\n")
    else:
        assert b"\r" not in written


def test_two_guards_follow_each_other(file: Path) -> None:
    """The second is no part of the first."""
    appended(str(file), "guards", {"name": "first", **STAGED}).write()
    first = file.read_text()
    new = appended(str(file), "guards", {"name": "again", **STAGED})
    new.write()
    assert file.read_text() == first + new.added
    assert len(new.config.guards) == 2


def test_mode_owner_and_attributes_are_kept_and_a_link_stays_one(file: Path) -> None:
    """A file that only its group may read must not be there for everybody, nor be lost to its owner."""
    real = file.rename(file.parent / "shared.toml")
    file.symlink_to("shared.toml")
    real.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(real, 1234, 4321)
        os.setxattr(real, "user.ours", b"kept")
    before = real.stat()
    add(file)
    after = real.stat()
    assert file.is_symlink()
    assert os.readlink(file) == "shared.toml"
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (before.st_uid, before.st_gid, 0o640)
    if os.geteuid() == 0:
        assert os.getxattr(real, "user.ours") == b"kept"
    assert "[[guards]]" in real.read_text()


def test_a_file_that_was_changed_meanwhile_keeps_that_change(file: Path) -> None:
    """Somebody's editor saved between our look and our write: their text is worth more than ours."""
    new = appended(str(file), "guards", STAGED)
    file.write_text(FILE + "# saved meanwhile\n")
    with pytest.raises(ConflictError, match="changed by somebody else meanwhile"):
        new.write()
    assert file.read_text() == FILE + "# saved meanwhile\n"
    assert left_over(file) == []


def test_of_two_at_once_none_is_lost_unsaid(file: Path) -> None:
    """Whoever is told that a guard was added finds it in the file; the other is told to try again."""

    def one(number: int) -> bool:
        try:
            appended(str(file), "guards", {"name": f"g{number}", **STAGED}).write()
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        added = [number for number, done in enumerate(pool.map(one, range(24))) if done]
    assert sorted(guard.name for guard in parse(file.read_text()).guards) == sorted(f"g{number}" for number in added)
    assert added
    assert left_over(file) == []


def test_a_file_that_is_read_only_is_left_alone(file: Path) -> None:
    """Root may write it all the same; whoever made it so did not mean that."""
    file.chmod(0o444)
    with pytest.raises(FailedError, match="it is read-only") as caught:
        add(file)
    assert "ls -ld" in caught.value.next
    assert file.read_text() == FILE


def test_guards_in_one_list_are_told_how_to_be_written(file: Path) -> None:
    """TOML closes such a list: a table below would make the whole file unreadable."""
    file.write_text('guards = [{ rule = "staged-first", why = "so" }]\n' + FILE)
    with pytest.raises(ConfigError, match=r"one list, guards = \[…\]") as caught:
        add(file)
    assert "[[guards]]" in caught.value.next
    assert file.read_text().endswith(FILE)


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (b"[environments", ConfigError, "not TOML"),
        (b"# caf\xe9\n", ConfigError, "not UTF-8"),
        (b"nonsense = 1\n", ConfigError, "not a known key"),
    ],
)
def test_a_file_that_is_wrong_already_is_told_as_such(
    file: Path, content: bytes, error: type[BackoutError], said: str
) -> None:
    """What is appended to a broken file would be looked for in the new lines."""
    file.write_bytes(content)
    with pytest.raises(error, match=said):
        add(file)
    assert file.read_bytes() == content


def test_a_table_that_the_next_command_would_refuse_is_not_written(file: Path) -> None:
    """What would be written is read first."""
    with pytest.raises(ConfigError, match="must be") as caught:
        appended(str(file), "guards", {"rule": "no-such-rule", "why": "so"})
    assert caught.value.state == f"Nothing was written to {file}."
    assert file.read_text() == FILE


def test_bytes_that_toml_cannot_hold_are_refused_before_anything_is_read(file: Path) -> None:
    """They come from a command line in another encoding."""
    with pytest.raises(UsageError, match="why holds bytes"):
        appended(str(file), "guards", {"rule": "staged-first", "why": "caf\udce9"})


def test_a_missing_file_leads_to_init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not there is written by another command, which looks around first."""
    monkeypatch.chdir(tmp_path)
    for named in (None, str(tmp_path / "other.toml")):
        with pytest.raises(ConfigError, match=r"There is no backout\.toml") as caught:
            located(named)
        assert caught.value.next == "backout init writes one."
    (tmp_path / "backout.toml").write_text("")
    assert located(None) == str(tmp_path / "backout.toml")
