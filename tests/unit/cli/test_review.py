"""`backout review` as it is typed, in this process; the editor is a script. What was typed is never lost."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from backout import bootstrap
from backout.cli import run
from backout.flow import incidents
from backout.model.incident import NOTE, OPEN, RESOLVED
from backout.render.schemas import schema

ID = "i20261123-170412-kfd"
ENDED = time.time() - 2 * 86400


@pytest.fixture(autouse=True)
def _over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand after an incident that was resolved two days ago, with a journal of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("VISUAL", raising=False)
    with contextlib.closing(bootstrap.journal()) as journal:
        incidents.declare(journal, "anna", lambda: ID[1:], "production", "502 on every page", at=ENDED - 720)
        incidents.record(journal, "anna", ID, NOTE, "No module named 'pkg_resources'", at=ENDED - 600)
        incidents.state(journal, "anna", ID, "production", RESOLVED, at=ENDED)


def edits(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Have an editor that runs these lines; `$1` is the file."""
    path = Path("editor")
    path.write_text("\n".join(["#!/bin/sh -e", *lines, ""]))
    path.chmod(0o755)
    monkeypatch.setenv("EDITOR", f"'{path.absolute()}'")


def typed(section: str, text: str) -> str:
    """Give the line of an editor that types a line below the heading of a section."""
    return f"sed -i 's/^## {section}\\r*$/&\\n{text}/' \"$1\""


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of one command line."""
    code = run(words)
    said = capsys.readouterr()
    return code, said.out, said.err


def stored(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The document of what is on record."""
    document: dict[str, Any] = json.loads(asked(capsys, "review", "--json")[1])
    jsonschema.validate(document, schema("backout.review/1"))
    return document


def left() -> list[Path]:
    """The files that wait for the next editor."""
    return sorted(Path("state/backout/reviews").glob("*/review.md"))


PATH = r"### P1 led: it moved\nentries: #2"
ACTION = r"### A1 Refuse it\n- owner: Anna\n- due: 2026-12-13\n- kind: prevent\n- closes: P1"


def test_what_is_typed_is_kept_word_for_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing stays behind of the file: it is on record, under its author's name."""
    edits(monkeypatch, typed("Summary", "It was down, für 12 min."), typed("Paths", PATH), typed("Actions", ACTION))
    code, out, _ = asked(capsys, "review")
    assert (code, out.split(":")[0]) == (0, f"The review of {ID} is in review, saved as #4")
    document = stored(capsys)
    assert document["text"].startswith("## Summary\nIt was down, für 12 min.\n")
    assert [row["key"] for row in (*document["paths"], *document["actions"])] == ["P1", "A1"]
    assert left() == []
    edits(monkeypatch, ":")
    assert asked(capsys, "review")[2].startswith("Nothing was changed, so nothing was saved.")
    assert stored(capsys)["saved"]["seq"] == document["saved"]["seq"]


def test_before_the_dust_has_settled_only_what_is_known_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever must not forget something until then writes a note."""
    (tmp_path / "backout.toml").write_text('[review]\ncooling_off = "72h"\n')
    code, _, err = asked(capsys, "review")
    assert (code, f"backout note --incident {ID} TEXT" in err, "opens at" in err) == (3, True, True)
    assert "#2  " in asked(capsys, "review", "--print")[1]
    with contextlib.closing(bootstrap.journal()) as journal:
        incidents.state(journal, "anna", ID, "production", OPEN)
    assert "is not over" in asked(capsys, "review")[2]
    (tmp_path / "backout.toml").write_text("[review]\ncooling_off = 0\n")
    assert asked(capsys, "review", "close")[0] == 3


def test_a_mistake_is_named_with_its_line_and_the_text_is_offered_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All mistakes at once; the next editor opens what was typed, not what is on record."""
    edits(monkeypatch, typed("Summary", "an hour of work"), "sed -i '/^## Impact/d; s/^declared/said/' \"$1\"")
    code, _, err = asked(capsys, "review")
    (kept,) = left()
    rows = kept.read_text().split("\n")
    assert code == 2
    assert f"{kept.absolute()}:{rows.index('## What surprised us') + 1}: the section '## Impact' is not there" in err
    assert (
        f"{kept.absolute()}:{next(at for at, row in enumerate(rows) if row.startswith('said')) + 1}: what is known"
        in err
    )
    assert "2 lines keep the review from being saved" in err
    assert f"your text is kept in {kept.absolute()}" in err.replace("\n         ", " ")
    edits(monkeypatch, "sed -i 's/^said/declared/; s/^## What surprised us/## Impact\\n&/' \"$1\"")
    code, _, err = asked(capsys, "review")
    assert (code, "It is opened again." in err) == (0, True)
    assert "an hour of work" in stored(capsys)["text"]
    assert left() == []


@pytest.mark.parametrize(("end", "code"), [("exit 3", 1), ("kill -INT $$", 130), ("kill -KILL $$", 1)])
def test_an_editor_that_fails_takes_nothing_with_it(
    end: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was typed lies there, and is named; where nothing was typed, nothing lies around."""
    edits(monkeypatch, typed("Summary", "an hour of work"), end)
    found, _, err = asked(capsys, "review")
    (kept,) = left()
    assert (found, str(kept) in err.replace("\n         ", "")) == (code, True)
    assert "an hour of work" in kept.read_text()
    kept.unlink()
    edits(monkeypatch, end)
    assert asked(capsys, "review")[0] == code
    assert left() == []


def test_what_a_kill_left_is_offered_only_where_it_holds_more_than_is_on_record(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed after the save and before the file was gone, or before anything was typed: there is nothing to offer."""
    edits(monkeypatch, typed("Summary", "an hour of work"), 'cp "$1" copy')
    asked(capsys, "review")
    place = Path("state/backout/reviews") / f"{ID}.1"
    place.mkdir()
    (place / "review.md").write_bytes(Path("copy").read_bytes())
    edits(monkeypatch, ":")
    assert "It is opened again." not in asked(capsys, "review")[2]
    assert left() == []


def test_two_editors_at_once_are_put_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each has a file of its own; the second save takes in the first."""
    edits(monkeypatch, typed("Impact", "mine"), 'cp "$1" mine; exit 1')
    asked(capsys, "review")
    left()[0].unlink()
    edits(monkeypatch, typed("Detection", "theirs"))
    assert asked(capsys, "review")[0] == 0
    code, out, _ = asked(capsys, "review", "--from", "mine")
    assert (code, "put together with what root saved meanwhile as #4" in out) == (0, True)
    assert {"mine", "theirs"} <= set(stored(capsys)["text"].split("\n"))


def test_where_two_changed_the_same_section_both_ways_are_shown_to_choose_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is saved over what somebody else wrote, and nothing of either is lost."""
    edits(monkeypatch, typed("Impact", "mine"), 'cp "$1" mine; exit 1')
    asked(capsys, "review")
    left()[0].unlink()
    edits(monkeypatch, typed("Impact", "theirs"))
    asked(capsys, "review")
    mine = Path("mine").read_text()
    code, _, err = asked(capsys, "review", "--from", "mine")
    line = mine.split("\n").index("mine") + 1
    assert (code, f"line {line}: the section '## Impact' was changed here" in err.replace("\n         ", " ")) == (
        6,
        True,
    )
    assert "both ways of putting it lie in" in err.replace("\n         ", " ")
    assert Path("mine").read_text() == mine
    edits(monkeypatch, ":")
    code, _, err = asked(capsys, "review")
    assert (code, "both ways of putting it still stand here" in err) == (2, True)
    edits(monkeypatch, "sed -i '/^<<<<<<< /d; /^=======/,/^>>>>>>>/d' \"$1\"")
    assert asked(capsys, "review")[0] == 0
    text = stored(capsys)["text"]
    assert ("mine" in text, "theirs" in text) == (True, False)


def test_an_editor_holds_its_file_as_long_as_it_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also when backout itself was killed: the next one gets a file of its own."""
    with bootstrap.draft(ID) as draft:
        draft.write("held")
        copy = os.dup(draft.descriptor)
    edits(monkeypatch, typed("Summary", "another"))
    assert asked(capsys, "review")[0] == 0
    assert [path.read_text() for path in left()] == ["held"]
    fcntl.flock(copy, fcntl.LOCK_UN)
    os.close(copy)


def test_secrets_are_masked_before_they_are_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is on record is never taken back."""
    edits(monkeypatch, typed("Summary", "password: hunter2hunter2"))
    assert "masked in 1 line" in asked(capsys, "review")[1]
    assert "hunter2" not in stored(capsys)["text"]


def test_without_a_terminal_or_an_editor_the_way_round_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else vi would wait for somebody who is not there."""
    monkeypatch.delenv("EDITOR", raising=False)
    code, _, err = asked(capsys, "review")
    assert (code, "backout review --from FILE" in err) == (2, True)
    monkeypatch.setenv("EDITOR", "/nowhere/ed")
    assert "cannot be started" in asked(capsys, "review")[2]
    assert "cannot be read" in asked(capsys, "review", "--from", "nowhere.md")[2]


def test_a_file_that_was_emptied_throws_an_edit_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it does with a commit: a wall of missing sections would help nobody."""
    edits(monkeypatch, ': > "$1"')
    code, _, err = asked(capsys, "review")
    assert (code, "The file is empty." in err, left()) == (1, True, [])


def test_what_is_not_utf_8_is_named_by_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A guess at its encoding would put something else on record."""
    asked(capsys, "review", "--print")
    run(["review", "--print"])
    text = capsys.readouterr().out.encode()
    Path("latin.md").write_bytes(text.replace(b"## Impact\n", b"## Impact\nf\xfcr\n"))
    code, _, err = asked(capsys, "review", "--from", "latin.md")
    line = text.split(b"\n").index(b"## Impact") + 2
    assert (code, f"latin.md:{line}: this is not UTF-8" in err) == (2, True)


def test_a_review_is_closed_once_every_action_stands_on_something(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All reasons at once, each with the line on which the editor shows it; an edit of a closed one opens it again."""
    edits(monkeypatch, typed("Paths", PATH), typed("Actions", ACTION.replace("Refuse it", "Be more careful")))
    out = asked(capsys, "review")[1]
    assert "asks for attention, or ends nowhere" in out
    code, _, err = asked(capsys, "review", "close")
    line = next(row["line"] for row in stored(capsys)["actions"])
    assert (code, err.count(f"line {line}: "), "2 things are in the way" in err) == (3, 2, True)
    code, out, _ = asked(capsys, "--json", "review", "close")
    assert (code, json.loads(out)["what"].count(f"line {line}: ")) == (3, 2)
    day = time.strftime("%Y-%m-%d", time.localtime(time.time() + 30 * 86400))
    stands = rf"s/^- closes: P1/&\n- proof: accepted by Anna until {day}/"
    edits(monkeypatch, f"sed -i '/^## Actions/,$ {{s/Be more careful/Refuse a major jump/; {stands}}}' \"$1\"")
    assert f"backout review close --incident {ID}" in asked(capsys, "review")[1]
    code, out, _ = asked(capsys, "review", "close", "--incident", "kfd")
    assert (code, "is closed" in out) == (0, True)
    assert stored(capsys)["state"] == "closed"
    seq = stored(capsys)["saved"]["seq"]
    assert asked(capsys, "review", "close")[0] == 0
    assert stored(capsys)["saved"]["seq"] == seq
    edits(monkeypatch, typed("Summary", "One thing more."))
    assert "is open again" in asked(capsys, "review")[2]
    assert stored(capsys)["state"] == "in review"
