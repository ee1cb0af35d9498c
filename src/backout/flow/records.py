"""`backout log`, `show`, `recover`, `gc`, `doctor` on several hosts: what each host's record says, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from backout.errors import BackoutError, UsageError
from backout.flow import record
from backout.flow.backs import Answers
from backout.flow.fleet import Fleet, exit_code
from backout.flow.session import Session

Shown = tuple[dict[str, Any], dict[str, Any] | None]
Result = TypeVar("Result")
DONE, NOT_POSSIBLE = 0, 7


def log(fleet: Fleet) -> tuple[dict[str, Any], dict[str, BackoutError]]:
    """Give the `backout.changes/1` document of all hosts, a row for each change of each, newest first.

    A row's host is the host's name in backout.toml. The rows of a change on several hosts follow each other, at the
    place of the newest. Gives also the hosts whose record is not in it, and why.
    """
    found = fleet.everyone(fleet.each(lambda session: record.log(session)["changes"]))
    rows = [{**row, "host": host} for host, rows in found.items() if isinstance(rows, list) for row in rows]
    newest: dict[str, str] = {}
    for row in rows:
        newest[row["id"]] = max(newest.get(row["id"], ""), row["at"])
    rows.sort(key=lambda row: (newest[row["id"]], row["id"]), reverse=True)
    failed = {host: error for host, error in found.items() if isinstance(error, BackoutError)}
    return {"schema": "backout.changes/1", "changes": rows}, failed


def show(fleet: Fleet, change: str) -> dict[str, Shown | BackoutError]:
    """Give a change and its effects document from every host that has it; a UsageError where none does."""

    def shown(session: Session) -> Shown | None:
        if change not in {known["id"] for known in session.changes()}:
            return None
        row, effects = record.show(session, change)
        return {**row, "host": session.host}, effects

    found = fleet.everyone(fleet.each(shown))
    known = {host: result for host, result in found.items() if result is not None}
    if not known:
        raise UsageError(f"There is no change {change} on these hosts.", next="backout log lists them.")
    return known


def document(environment: str, answers: Answers, hosts: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Give the `backout.hosts/1` document: what each host answered, and the exit code of all of them."""
    rows = [_row(host, answer) for host, answer in answers.items()]
    return {
        "schema": "backout.hosts/1",
        "environment": environment,
        "hosts": rows,
        "twins": dict(hosts or {}),
        "exit_code": exit_code(row["exit_code"] for row in rows),
    }


def _row(host: str, answer: dict[str, Any] | BackoutError) -> dict[str, Any]:
    if isinstance(answer, BackoutError):
        return {"host": host, "exit_code": answer.exit_code, "document": None, "error": answer.document()}
    return {"host": host, "exit_code": _code(answer), "document": answer, "error": None}


def _code(answer: dict[str, Any]) -> int:
    """Give the exit code that a host alone would have given with its document."""
    if answer["schema"] == "backout.back/1":
        return int(answer["exit_code"])
    return NOT_POSSIBLE if answer.get("ok") is False else DONE
