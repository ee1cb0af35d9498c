"""`backout log`, `show`, `recover`, `gc`, `doctor`: what is on record, and looking after it."""

from __future__ import annotations

import base64
from typing import Any

from backout.errors import UsageError
from backout.flow.instant import instant
from backout.flow.session import Session
from backout.model.ledger import has_effects


def log(session: Session) -> dict[str, Any]:
    """Give the `backout.changes/1` document, newest first; the journal learns what it lacks."""
    session.learn()
    return {"schema": "backout.changes/1", "changes": [told(change) for change in reversed(session.changes())]}


def told(change: dict[str, Any]) -> dict[str, Any]:
    """Give a change as documents list it."""
    body = change["body"]
    return {
        "id": change["id"],
        "at": instant(change["at"]),
        "host": change["host"],
        "environment": body.get("environment"),
        "who": body.get("who", ""),
        "why": body.get("why", ""),
        "command": body.get("command") or ["?"],
        "state": change["state"],
        "undoes": body.get("undoes"),
        "redoes": body.get("redoes"),
        "split_from": body.get("split_from"),
        "undone_by": change["undone_by"],
        "expired": change["expired"],
        **({"guards": body["guards"]} if body.get("guards") else {}),
    }


def show(session: Session, change: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Give one change and its effects document (None for a back-out, whose effects are those of what it took back).

    What guards said comes from the ledger, which keeps it when the document is let go.
    """
    known = {row["id"]: row for row in session.changes()}
    if change not in known:
        raise UsageError(f"There is no change {change} on this host.", next="backout log lists them.")
    row = told(known[change])
    if not has_effects(known[change]["body"]):
        return row, None
    effects = session.link.ask("show", change=change)["document"]
    return row, {**effects, "guards": row["guards"]} if "guards" in row else effects


def output(session: Session, change: str) -> bytes:
    """Give what a change's command wrote."""
    return base64.b64decode(session.link.ask("output", change=change))


def recover(session: Session) -> dict[str, Any]:
    """Bring every unfinished change to all-old or all-new; before that, a damaged ledger, from the journal."""
    mended = 0
    if not session.link.ask("is_whole"):
        copies = [] if session.journal is None else session.journal.entries()
        mended = session.link.ask("mend", copies=copies)
    document = {"schema": "backout.recovered/1", "mended": mended, "recovered": session.link.ask("recover")}
    session.learn()
    return document


def gc(session: Session, older_than_s: float, *, standing: bool, dry_run: bool) -> dict[str, Any]:
    """Let go of what nobody can need any more; with `standing`, of what could still be taken back, too."""
    collected = session.link.ask("gc", older_than_s=older_than_s, standing=standing, dry_run=dry_run)
    session.learn()
    leaving = {row["change"] for row in collected["let_go"]}
    kept = sum(change["stands"] and change["id"] not in leaving for change in session.changes())
    return {
        "schema": "backout.gc/1",
        "expired": collected["let_go"],
        "freed_bytes": collected["size_bytes"],
        "kept": kept,
        "dry_run": dry_run,
    }


def doctor(session: Session) -> dict[str, Any]:
    """Tell what this host can do and how to mend what it cannot."""
    findings = session.link.ask("doctor")
    return {"schema": "backout.doctor/1", "ok": all(finding["ok"] for finding in findings), "findings": findings}
