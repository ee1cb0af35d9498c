"""What the record, the doctor and a conflict look like; each drawn from a document that its schema accepts."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from jsonschema import Draft202012Validator

from backout.render import change
from backout.render.error import render_error
from backout.render.report import Wish
from backout.render.schemas import schema
from backout.render.screen import Screen

SCREEN = Screen()


def valid(document: dict[str, Any]) -> dict[str, Any]:
    """Give the document back when its schema accepts it."""
    Draft202012Validator(schema(document["schema"])).validate(document)
    return document


def row(**fields: Any) -> dict[str, Any]:
    """Give one change of the record."""
    usual = {
        "id": "c3f9",
        "at": "2026-07-23T17:05:00Z",
        "host": "web1",
        "environment": "production",
        "who": "anna",
        "why": "four workers",
        "command": ["puppet", "apply", "shop site.pp"],
        "state": "kept",
        "undoes": None,
        "redoes": None,
        "split_from": None,
        "undone_by": None,
        "expired": False,
    }
    return {**usual, **fields}


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"state": "kept"}, "kept"),
        ({"state": "kept", "undone_by": "d4"}, "undone"),
        ({"state": "undone"}, "backed out"),
        ({"state": "refused"}, "refused"),
        ({"state": "prepared"}, "unfinished"),
        ({"state": "applied"}, "unfinished"),
        ({"state": "undoing"}, "unfinished"),
    ],
)
def test_a_change_stands_where_a_word_says(fields: dict[str, Any], word: str) -> None:
    """Taken back by a person, by itself, never done: three things that must not look alike."""
    assert change.state_word(row(**fields)) == word
    assert word in change.log(valid({"schema": "backout.changes/1", "changes": [row(**fields)]}), SCREEN, UTC)


def test_the_log_says_who_when_where_why_and_what() -> None:
    """It answers the first question of every incident, what was changed last and by whom."""
    document = valid({"schema": "backout.changes/1", "changes": [row(), row(id="d4", undoes="c3f9", why="")]})
    drawn = change.log(document, SCREEN, ZoneInfo("Europe/Berlin"))
    assert "c3f9 kept 2026-07-23 19:05 CEST production anna" in drawn
    assert "  four workers · puppet apply 'shop site.pp'\n" in drawn
    assert "  takes back c3f9\n" in drawn


def test_a_log_line_is_never_wider_than_the_screen() -> None:
    """A wrapped table is read wrongly; the words that tell changes apart come first."""
    document = {"schema": "backout.changes/1", "changes": [row(command=["x" * 300], why="y" * 80, who="z" * 90)]}
    drawn = change.log(valid(document), SCREEN, UTC)
    assert max(map(len, drawn.splitlines())) <= 80
    assert "c3f9 kept 2026-07-23 17:05 UTC production" in drawn


def test_show_tells_a_change_and_its_effects(surprise: dict[str, Any]) -> None:
    """One command must answer what a change did, also for who did not do it."""
    drawn = change.show(row(undone_by="d4", expired=True), surprise, SCREEN, Wish(full=True), UTC)
    for told in (
        "c3f9  undone by d4",
        "2026-07-23 17:05 UTC",
        "production · web1",
        "neither taken back nor run once more",
        "pytz",
    ):
        assert told in drawn


def test_a_conflict_shows_the_edit_and_what_either_choice_does() -> None:
    """Who edited a file since must see it before deciding; nothing is overwritten until then."""
    conflicts: list[dict[str, Any]] = [
        {
            "path": "/etc/a\nb",
            "change": "c3",
            "what": "edited since",
            "diff": "--- left\n+++ now\n@@ -1 +1 @@\n-x\n+y\x1b\n",
        },
        {"path": "/bin/x", "change": "c3", "what": "edited since", "diff": None},
    ]
    document = {
        "schema": "backout.back/1",
        "undone": [],
        "conflicts": conflicts,
        "checks": [],
        "reasons": [],
        "exit_code": 6,
    }
    drawn = change.back(valid(document), SCREEN)
    assert drawn == change.conflicts(conflicts, SCREEN)
    for told in (
        "2 paths were edited since",
        "Nothing was overwritten",
        r"$'/etc/a\nb'",
        "+y\\e",
        "--keep-edits",
        "--discard-edits",
    ):
        assert told in drawn
    assert "\x1b[32m+y" in change.conflicts(conflicts, Screen(color=True))


def test_back_says_what_was_taken_back_and_whether_it_is_healthy() -> None:
    """It answers whether it is over."""
    document: dict[str, Any] = {
        "schema": "backout.back/1",
        "undone": [
            {"change": "c3", "by": "d4", "what": "puppet apply", "edited": ["/a"], "saved": ["/s/a"], "noise_kept": 2}
        ],
        "conflicts": [],
        "checks": [
            {"name": "answers", "where": "after", "result": "healthy", "output": ""},
            {"name": "imports", "where": "after", "result": "unhealthy", "output": "Traceback\nImportError: x\n"},
        ],
        "reasons": [{"what": "It is still red.", "state": "c3 is gone.", "next": "backout run --change c3"}],
        "exit_code": 5,
    }
    drawn = change.back(valid(document), SCREEN)
    assert "Taken back c3  puppet apply" in drawn
    assert "Edits      saved as /s/a" in drawn
    assert "2 paths moved on since" in drawn
    assert "Needs you  It is still red. c3 is gone.\nNext       backout run --change c3" in drawn
    document["undone"][0]["noise_kept"] = 1
    assert "1 path moved on since" in change.back(valid(document), SCREEN)
    assert "answers  healthy" in drawn
    assert "imports  unhealthy  after  ImportError: x" in drawn
    assert change.checks(document["checks"], SCREEN) in drawn.replace("Checks     ", "").replace(
        "           imports", "imports"
    )


def test_nothing_to_take_back_is_said() -> None:
    """An empty answer leaves a person in doubt."""
    document = {"schema": "backout.back/1", "undone": [], "conflicts": [], "checks": [], "reasons": [], "exit_code": 0}
    assert "Nothing stands that could be taken back." in change.back(valid(document), SCREEN)
    assert "No change is on record." in change.log(valid({"schema": "backout.changes/1", "changes": []}), SCREEN)
    assert "No checks" in change.checks([], SCREEN)


def test_the_doctor_names_the_remedy_only_where_something_is_wrong() -> None:
    """What to type stands on a line of its own, uncut, to be copied."""
    remedy = "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0 " + "x" * 80
    findings = [
        {"name": "overlay", "ok": True, "what": "can be mounted", "remedy": "unused"},
        {"name": "namespaces", "ok": False, "what": "forbidden to ordinary users", "remedy": remedy},
    ]
    drawn = change.doctor(valid({"schema": "backout.doctor/1", "ok": False, "findings": findings}), SCREEN)
    assert "ok  overlay     can be mounted" in drawn
    assert "no  namespaces  forbidden" in drawn
    assert f" {remedy}\n" in drawn
    assert "unused" not in drawn
    assert "not possible here" in drawn


def test_gc_says_what_went_and_what_can_still_be_taken_back() -> None:
    """Letting go of a way back must be seen."""
    document = {
        "schema": "backout.gc/1",
        "dry_run": False,
        "expired": [{"change": "c3", "size_bytes": 1234567}],
        "freed_bytes": 1234567,
        "kept": 3,
    }
    assert change.gc(valid(document), SCREEN) == (
        "c3 1.2 MB\n1 change let go, 1.2 MB freed; 3 changes can still be taken back.\n"
    )
    nothing = change.gc(valid({**document, "expired": [], "kept": 1}), SCREEN)
    assert nothing == "Nothing to let go; 1 change can still be taken back.\n"


def test_show_says_that_a_change_took_itself_back(surprise: dict[str, Any]) -> None:
    """Its document was written before the apply, and says that it was allowed."""
    document = {**surprise, "verdict": {"decision": "allow", "reasons": []}}
    assert "Verdict    backed out" in change.show(row(state="undone"), document, SCREEN)
    assert "Verdict    allowed" in change.show(row(), document, SCREEN)


def test_gc_promises_no_way_back_for_what_it_would_let_go() -> None:
    """With --standing, what would go is among what stands now; a dry run that counts it as kept is believed."""
    document = {
        "schema": "backout.gc/1",
        "dry_run": True,
        "expired": [{"change": "c3", "size_bytes": 1}, {"change": "c4", "size_bytes": 1}],
        "freed_bytes": 2,
        "kept": 2,
    }
    assert change.gc(valid(document), SCREEN).endswith("\n2 changes would be let go, 2 B freed.\n")


@pytest.mark.parametrize(
    ("fields", "word"), [({"state": "kept"}, "kept, let go"), ({"state": "refused"}, "refused, let go")]
)
def test_the_log_says_what_gc_let_go(fields: dict[str, Any], word: str) -> None:
    """Who looks for a way back should not find out by trying."""
    document = {"schema": "backout.changes/1", "changes": [row(**fields, expired=True), row()]}
    let_go, stands = change.log(valid(document), SCREEN, UTC).splitlines()[::2]
    assert word in let_go
    assert "let go" not in stands


def test_a_refusal_that_was_let_go_offers_nothing_any_more(surprise: dict[str, Any]) -> None:
    """Its bits are gone: what once was the way to apply it leads nowhere."""
    reasons = [{"what": "You said no.", "state": "", "next": f"give --accept sha256:{'0' * 64}"}]
    refused = {**surprise, "verdict": {"decision": "refuse", "reasons": reasons}}
    assert "--accept" in change.show(row(state="refused"), refused, SCREEN)
    drawn = change.show(row(state="refused", expired=True), refused, SCREEN)
    assert "You said no." in drawn
    assert "--accept" not in drawn


def test_thousands_of_conflicts_are_shown_as_a_few_and_counted() -> None:
    """What decides them stands below them, and must not scroll away with what it is about."""
    conflicts = [{"path": f"/srv/{n:04}", "change": "c3", "what": "edited since", "diff": None} for n in range(3000)]
    drawn = change.conflicts(conflicts, SCREEN)
    assert "3000 paths were edited" in drawn
    assert drawn.count("/srv/") == 20
    assert "… and 2980 more (--json lists all)\n" in drawn
    assert "--keep-edits" in drawn
    assert "more (" not in change.conflicts(conflicts[:20], SCREEN)


def test_recovery_says_to_which_side_each_change_went() -> None:
    """After a power cut, nobody may have to guess whether the host is old or new."""
    recovered = [{"change": "c3", "state": "undone"}, {"change": "d4", "state": "kept"}]
    drawn = change.recovered(valid({"schema": "backout.recovered/1", "mended": 2, "recovered": recovered}), SCREEN)
    assert "c3  undone: all old" in drawn
    assert "d4  kept: all new" in drawn
    assert "whole again: 2 entries came back" in drawn


def test_an_error_is_three_sentences_and_its_command_is_whole() -> None:
    """Law 7; a command that is broken over two lines cannot be copied."""
    document = {
        "schema": "backout.error/1",
        "exit_code": 7,
        "what": "This kernel has no \x1b overlayfs. " * 4,
        "state": "Nothing was changed.",
        "next": "--accept sha256:" + "a" * 64,
    }
    drawn = render_error(valid(document), SCREEN)
    assert drawn.startswith("backout: This kernel has no \\e overlayfs.")
    assert "\n         Nothing was changed.\n" in drawn
    assert "sha256:" + "a" * 64 in drawn
    assert "\x1b[1;31mbackout: " in render_error(document, Screen(color=True))
    line = "backout run -- " + "word " * 30 + "end"
    assert f"next:    {line}\n" in render_error({**document, "next": line}, SCREEN)
    assert f"next:    Did you mean it? Or:\n         {line}\n" in render_error(
        {**document, "next": f"Did you mean it? Or: {line}"}, SCREEN
    )
