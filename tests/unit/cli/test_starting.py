"""What `init` finds on a machine, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from backout.cli import starting
from backout.cli.starting import look_around


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look in the test's folder alone."""
    monkeypatch.setattr(starting, "_PLACES", ())


def virtualenv(folder: Path, *, pip: bool = True) -> str:
    """Make what looks like a virtualenv."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to("/bin/sh")
    (folder / "pyvenv.cfg").touch()
    if pip:
        (folder / "lib" / "python3.11" / "site-packages" / "pip").mkdir(parents=True)
    return str(folder)


def test_a_virtualenv_of_ours_is_found_and_whether_it_has_pip(tmp_path: Path) -> None:
    """Some tools make virtualenvs without pip; asking those is a check that is red from the start."""
    with_pip, without = virtualenv(tmp_path / "a"), virtualenv(tmp_path / "b", pip=False)
    found = look_around(tmp_path)
    assert (found.virtualenvs, found.without_pip, found.foreign) == ((with_pip, without), (without,), ())


@pytest.mark.parametrize("part", [".", "..", "bin", "lib/python3.11/site-packages", "lib/python3.11/site-packages/pip"])
def test_a_virtualenv_that_everybody_may_change_is_not_ours(tmp_path: Path, part: str) -> None:
    """What runs there would run as root: the folder on the way to it counts as much as the interpreter."""
    venv = Path(virtualenv(tmp_path / "app" / "venv"))
    (venv / part).chmod(0o777)
    found = look_around(tmp_path)
    assert (found.virtualenvs, found.foreign) == ((), (str(venv),))


def test_a_virtualenv_whose_interpreter_is_gone_is_not_ours(tmp_path: Path) -> None:
    """A link in a circle must not end in a traceback."""
    venv = Path(virtualenv(tmp_path / "venv"))
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to("python")
    assert look_around(tmp_path).virtualenvs == ()
