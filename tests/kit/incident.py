"""An incident in a journal, told by what happened: for tests of what is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backout.flow import incidents
from backout.store.sqlite import SqliteJournal

ID = "i20261025-003000-bcd"
"""Its name; the day is the one on which Berlin's clocks are put back."""


class Told:
    """An incident of `production`, and ways to tell what happened in it; times in seconds since the epoch."""

    def __init__(self, journal: Path, at: float) -> None:
        """Open it in a journal."""
        self.journal = SqliteJournal(journal)
        incidents.declare(self.journal, "ada", lambda: ID[1:], "production", "the shop answers 502", at=at)

    def line(self, at: float, kind: str, text: str = "", **more: Any) -> int:
        """Add a line; gives its seq."""
        return incidents.record(self.journal, "ada", ID, kind, text, more=more, at=at).seq

    def pinned(self, at: float, first: str, corrected: str) -> None:
        """Add a note that is corrected and pinned."""
        note = self.line(at, "note", first)
        self.line(at + 10, "correction", corrected, of=note)
        self.line(at + 20, "pin", of=note)

    def command(self, at: float, *words: str, output: str = "", **more: Any) -> int:
        """Add a command that was run; exit code 0 and 2 seconds unless told."""
        (sha256,) = self.journal.keep([output.encode()])
        body = {"command": list(words), "cwd": "/srv/shop", "exit_code": 0, "duration_s": 2.0, "output": sha256, **more}
        return self.line(at, "command", " ".join(words), **body)

    def check(self, at: float, result: str, name: str = "site", host: str = "web1") -> None:
        """Add what a check said."""
        self.line(at, "check", f"{name} is {result}", name=name, host=host, result=result, output="")

    def notice(self, at: float, name: str, type: str = "first", state: str = "sent", **fields: Any) -> None:
        """Add a notice to the client, and what became of it."""
        (html,) = self.journal.keep([b"<p>p"])
        more = {"audience": "client", "status": "investigating", "impact": "critical", "subject": "s", "plain": "p"}
        more["html"] = html
        target = "mailto:ops@client.example"
        told: Mapping[str, Any] = {**more, "notice": name, "type": type, "fields": fields, "targets": [target]}
        self.line(at, "notice", "s", **told)
        sent = {
            "notice": name,
            "target": target,
            "attempt": 1,
            "message_id": "<1@x>",
            "state": state,
            "reply": "250 ok",
        }
        self.line(at + 1, "delivery", "sent", **sent)

    def change(
        self, at: float, name: str, *words: str, kinds: tuple[str, ...] = ("prepared", "applied", "kept")
    ) -> None:
        """Let a host's ledger tell of a change."""
        body = {"environment": "production", "who": "ada", "why": "one setting", "command": list(words)}
        row = {"format": 1, "host": "web1", "change": name, "prev": ""}
        self.journal.learn(
            {**row, "seq": seq, "kind": kind, "at": at + seq, "body": body if seq == 0 else {}}
            for seq, kind in enumerate(kinds)
        )

    def resolve(self, at: float, by: str = "checks") -> None:
        """Close it."""
        incidents.state(self.journal, "ada", ID, "production", "resolved", at=at, by=by)
