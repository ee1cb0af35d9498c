"""`backout search` and `import` as they are typed, in this process."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from backout.cli import run
from backout.render.schemas import schema

TRACE = "Traceback (most recent call last):\n  File \"/x.py\", line 3\nModuleNotFoundError: No module named 'y'\n"


class Piped(io.TextIOWrapper):
    """What is piped in."""

    def __init__(self, text: str, *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(text.encode()))
        self._terminal = terminal

    def isatty(self) -> bool:
        """Whether somebody types."""
        return self._terminal


@pytest.fixture(autouse=True)
def _work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder with runbooks, with a journal of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "y.md").write_text("# When y is gone\n\nNo module named 'y'\n\n## Fix\npip install y\n")
    (tmp_path / "backout.toml").write_text('[search]\nfolders = ["runbooks"]\n')


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of one command line."""
    code = run(words)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize("words", [(), ("-",)])
def test_a_traceback_that_is_piped_in_finds_the_runbook(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """That is how a log is searched for: as it is."""
    monkeypatch.setattr(sys, "stdin", Piped(f"{'x' * 200_000}\n{TRACE}"))
    code, out, _ = asked(capsys, "--json", "search", *words)
    document: dict[str, Any] = json.loads(out)
    jsonschema.validate(document, schema("backout.search/1"))
    assert (code, [row["title"] for row in document["found"]]) == (0, ["When y is gone"])
    assert document["found"][0]["helped"] == ["pip install y"]


def test_words_find_and_nothing_found_is_3(capsys: pytest.CaptureFixture[str]) -> None:
    """A script asks whether it is known."""
    code, out, _ = asked(capsys, "search", "module", "gone")
    assert (code, out.splitlines()[0]) == (0, "When y is gone")
    assert asked(capsys, "search", "antidisestablishment")[:2] == (3, "Nothing was found.\n")


def test_nothing_to_search_for_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """At a terminal it would wait for ever; from a pipe it would find nothing."""
    for stdin in (Piped("", terminal=True), Piped("\n")):
        monkeypatch.setattr(sys, "stdin", stdin)
        code, _, err = asked(capsys, "search")
        assert (code, "There is nothing to search for" in err) == (2, True)


def test_a_configuration_that_cannot_be_read_is_named_and_the_journal_is_searched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong may be the very file that was changed."""
    (tmp_path / "pm.md").write_text("# Outage\nthe cache was cold")
    (tmp_path / "bad.md").write_text("---\nnothing\n---\n")
    code, out, err = asked(capsys, "import", "pm.md", "bad.md")
    assert (code, out) == (2, "pm.md: taken in as entry 1: Outage\n")
    assert "bad.md:2: this is neither" in err
    (tmp_path / "backout.toml").write_text("[searching\n")
    code, out, _ = asked(capsys, "search", "cold cache")
    assert (code, out.splitlines()[0]) == (0, "Outage")
    assert "backout.toml:1: this is not TOML" in out
    assert "the cache was cold" in asked(capsys, "search", "--entry", "1")[1]
