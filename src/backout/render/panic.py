"""The screens of `panic`, as plain text: nothing here waits for an import.

Each draws a `backout.panic/1` document, or the part of it that is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from backout.model.check import HEALTHY
from backout.model.situation import TO_TAKE_BACK
from backout.render.recurrence import sentences
from backout.render.screen import Screen
from backout.render.telling import telling_line

MOST_CHANGES, MOST_ACTIONS = 3, 3
_BOLD, _RED, _GREEN, _PLAIN = "\033[1m", "\033[1;31m", "\033[32m", "\033[0m"
_MINUTE_S, _HOUR_S = 60, 3600


class Drawing:
    """Draws on one screen; times are in one zone, relative to `now` (RFC 3339)."""

    def __init__(self, screen: Screen, now: str, zone: tzinfo | None = None) -> None:
        self._screen, self._zone = screen, zone
        self._now = datetime.fromisoformat(now).astimezone(zone)

    def first(self, document: Mapping[str, Any]) -> str:
        """Draw all that is known."""
        parts = [self._head, self._changes, self._checks, self._enforcers, self._paused, self._similar, self._ways]
        return self._text([draw(document) for draw in (*parts, self._backups, self._audiences)])

    def news(self, document: Mapping[str, Any], before: Mapping[str, Any]) -> str:
        """Draw what hosts said since `before` was drawn, and which of them said nothing."""
        parts = [self._hosts(document["hosts"], before["hosts"])]
        drawn = (self._changes, self._checks, self._enforcers, self._paused, self._similar)
        for name, draw in zip(("changes", "checks", "enforcers", "paused", "similar"), drawn, strict=True):
            if _gist(document[name]) != _gist(before[name]):
                parts.append(draw(document))
        parts.append([self._saved(row) for row in document["saved"] if row not in before["saved"]])
        parts += [self._news(*rows) for rows in zip(document["backups"], before["backups"], strict=True)]
        if _asked(document) != _asked(before) and _gist(document["checks"]) == _gist(before["checks"]):
            parts.append([f"The checks say the same now, {self._when(document['at'])}."])
        return self._text(parts)

    def _text(self, parts: Iterable[Sequence[str]]) -> str:
        return "".join(f"{line.rstrip()}\n" for part in parts for line in part)

    def _head(self, document: Mapping[str, Any]) -> list[str]:
        incident = document["incident"]
        where = self._screen.visible(incident["environment"])
        began = datetime.fromisoformat(incident["declared_at"])
        minutes = max(0, int((self._now - began).total_seconds())) // _MINUTE_S
        clock = f"{minutes // 60}:{minutes % 60:02d} h" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004
        since = f"since {self._when(incident['declared_at'])} {self._now:%Z}"
        joined = f"; joined, opened by {self._screen.visible(incident['by'])}" if document["joined"] else ""
        lines = [
            self._bold(f"Incident {incident['id']} on {where}: open for {clock}, {since}{joined}"),
            *([self._cut("  " + self._screen.visible(incident["text"]))] if incident["text"] else []),
        ]
        if document["kept"] == "nowhere":
            lines.append(self._red("NOTHING IS KEPT: write down what you do."))
        elif document["kept"] == "aside":
            lines.append(self._red("NOT IN THE JOURNAL, but kept aside until it can be."))
        as_of = document["as_of"]
        lines.append(
            f"What is stored here, as of {self._when(as_of)}; hosts are asked now."
            if as_of
            else "Nothing is stored here of it yet; hosts are asked now."
        )
        return lines

    def _changes(self, document: Mapping[str, Any]) -> list[str]:
        changes = document["changes"]
        if not changes:
            return [self._bold("Last changes"), "  none on record"]
        lines = [self._bold("Last changes")]
        for change in changes[:MOST_CHANGES]:
            command = self._screen.visible(" ".join(change["command"]))
            who = self._screen.visible(change["who"])
            took = _took(change["took"])
            head = f"  {self._when(change['at'])}  {who}: {command}"
            lines.append(self._cut(head, max(self._screen.width - len(took), len(head) // 2)) + took)
            way = self._command(change["back"]) if change["back"] else change["state"]
            lines.append(f"    {way}")
        more = len(changes) + document["more_changes"] - MOST_CHANGES
        return [*lines, *([f"  and {more} more: backout log"] if more > 0 else [])]

    def _checks(self, document: Mapping[str, Any]) -> list[str]:
        checks = document["checks"]
        red = [check for check in checks if check["result"] != HEALTHY]
        if not checks:
            return [self._bold("Checks"), "  nothing is known of any"]
        lines = [self._bold("Checks")]
        hosts = {check["host"] for check in checks}
        for check in red:
            on = f" on {check['host']}" if len(hosts) > 1 else ""
            said = telling_line(check["output"])
            head = self._screen.visible(f"{check['name']}{on}")
            since = f"fails since {self._when(check['since'])}, asked {self._when(check['at'])}"
            room = self._screen.width - len(f"  {head}: {since}")
            said = self._cut(self._screen.visible(said), room - 2) if said and room > 10 else ""  # noqa: PLR2004
            lines.append(f"  {self._red(head)}: {since}" + (f"  {said}" if said else ""))
        well = len(checks) - len(red)
        if well:
            at = max(check["at"] for check in checks if check["result"] == HEALTHY)
            lines.append(f"  {well} healthy, asked {self._when(at)}")
        return lines

    def _enforcers(self, document: Mapping[str, Any]) -> list[str]:
        rows = document["enforcers"]
        if not rows:
            return []
        told = [self._cut(f"  {self._screen.visible(row['host'])}: {row['name']} {row['how']}") for row in rows]
        pauses = dict.fromkeys(f"  to pause them: {self._command(row['pause'])}" for row in rows if row["pause"])
        return [self._bold("These would undo a fix"), *told, *pauses]

    def _paused(self, document: Mapping[str, Any]) -> list[str]:
        rows = document["paused"]
        lines = [self._bold("Paused")] if rows else []
        for row in rows:
            units = ", ".join(row["units"])
            lines.append(self._cut(self._screen.visible(f"  {row['host']}: {units}, since {self._when(row['at'])}")))
            lines.append(f"    to start again: {self._command(row['start'])}")
        return lines

    def _similar(self, document: Mapping[str, Any]) -> list[str]:
        rows = document["similar"]
        lines = [self._bold("It looked like this before")] if rows else []
        for row in rows:
            where = f" ({row['environment']})" if row["environment"] else ""
            lines.append(self._cut(self._screen.visible(f"  {self._when(row['at'])}  {row['title']}{where}")))
            lines += self._recurrence(row.get("recurrence"))
            lines += [self._cut(self._screen.visible(f"    helped: {text}")) for text in row["helped"][-2:]]
            lines.append(f"    {self._screen.visible(row['show'])}")
        return lines

    def _recurrence(self, row: Mapping[str, Any] | None) -> list[str]:
        """Say that it is the same again, and what became of what was to keep it away."""
        if row is None:
            return []
        told = [self._cut(self._screen.visible(f"    {line}")) for line in sentences(row, MOST_ACTIONS)]
        return ["    " + self._red("RECURRENCE: it said the same then."), *told]

    def _ways(self, document: Mapping[str, Any]) -> list[str]:
        if not document["ways"]:
            return []
        lines = [self._bold("Ways out")]
        for way in document["ways"]:
            lines.append(self._cut(f"  {self._screen.visible(way['name'])}: {_measured(way)}"))
            lines.append(f"    {self._command(way['command'])}")
        return lines

    def _backups(self, document: Mapping[str, Any]) -> list[str]:
        """Offer those that are not made by themselves; say of each how old it is, and whether it was ever restored."""
        rows = document["backups"]
        lines = [self._bold("Backups")] if rows else []
        for row in rows:
            name = self._screen.visible(row["name"])
            now = "; made now" if row["at_panic"] else ""
            lines.append(f"  {name}: {self._age(row)}, {self._tested(row)}{now}")
            if not row["at_panic"]:
                lines.append(f"    {self._command(row['command'])}")
            if not row["at_panic"] or row["exit_code"] is not None:
                lines += self._to_test(row)
        return lines

    def _age(self, row: Mapping[str, Any]) -> str:
        """Say when it was made last, and whether that is longer ago than it may be."""
        last = f"last {self._when(row['made_at'])}" if row["made_at"] else "none on record"
        limit = f", more than {_age(row['max_age_s'])} ago" if row["made_at"] and row["too_old"] else ""
        told = self._red(last + limit) if row["too_old"] else last
        failed = row["failed"]
        if failed is None:
            return told
        return told + ", " + self._red(f"FAILED {self._when(failed['at'])}, exit code {failed['exit_code']}")

    def _tested(self, row: Mapping[str, Any]) -> str:
        """Say what the last test of its restore came to, and when one last went well."""
        tested = row["tested"]
        restored = f"last restored {self._when(row['restored_at'])}" if row["restored_at"] else "never seen restored"
        if tested is None:
            return restored
        if tested["exit_code"] == 0:
            return f"{restored} in {_seconds(tested['duration_s'])}"
        code = tested["exit_code"]
        return self._red(f"NOT RESTORED {self._when(tested['at'])}, exit code {code}") + f", {restored}"

    def _to_test(self, row: Mapping[str, Any]) -> list[str]:
        """Give the command that tests the restore of what was made, where nobody did yet."""
        return [f"    {self._command(row['restore'])}"] if row["untested"] else []

    def _saved(self, row: Mapping[str, Any]) -> str:
        left = len(row["left_out"]) + row["more_left_out"]
        without = f", {left} left out, such as {row['left_out'][0]}" if left else ""
        files = f"{row['files']} file{'' if row['files'] == 1 else 's'}" if row["files"] else "no watched files"
        what = f"{files}, {-(-row['size_bytes'] // 1024)} KiB{without}" if row["files"] or left else files
        saved = "Saved before" if row["again"] else "Saved"
        return self._screen.visible(f"{saved} on {row['host']}: {what}: {row['where']}")

    def _news(self, row: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
        """Say that a backup was made, or failed, and what the test of its restore came to."""
        name, code, tested = self._screen.visible(row["name"]), row["exit_code"], row["tested"]
        lines = []
        if code is not None and code != before["exit_code"]:
            went = f"Backup {name} is made." if code == 0 else f"Backup {name} failed with exit code {code}."
            lines += [went if code == 0 else self._red(went), *self._to_test(row)]
        if tested is not None and tested != before["tested"]:
            lines.append(f"Backup {name}: {self._tested(row)}")
        return lines

    def _audiences(self, document: Mapping[str, Any]) -> list[str]:
        if not document["audiences"]:
            return []
        lines = [self._bold("To be told") + f"  {self._command(document['audiences'][0]['command'])}"]
        for row in document["audiences"]:
            left_s = (datetime.fromisoformat(row["due_at"]) - self._now).total_seconds()
            due = f"in {_minutes(left_s)}" if left_s >= 0 else self._red(f"{_minutes(-left_s)} overdue")
            name = self._screen.visible(row["name"])
            lines.append(f"  {name}: {row['word']} word by {self._when(row['due_at'])}, {due}")
        return lines

    def _hosts(self, rows: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> list[str]:
        lines = []
        for row, known in zip(rows, before, strict=True):
            if row["error"] and row["error"] != known["error"]:
                lines.append(self._screen.visible(_about(row["host"], row["error"]["what"])))
            elif row["answered"] and not known["answered"]:
                lines.append(self._screen.visible(f"{row['host']} answers at {self._now:%H:%M:%S}."))
        return lines

    def _command(self, words: Sequence[str]) -> str:
        return " ".join(map(self._screen.word, words))

    def _when(self, at: str) -> str:
        when = datetime.fromisoformat(at).astimezone(self._zone)
        return f"{when:%H:%M}" if when.date() == self._now.date() else f"{when:%Y-%m-%d %H:%M}"

    def _cut(self, line: str, width: int | None = None) -> str:
        width = self._screen.width if width is None else width
        return line if len(line) <= width else line[: max(width - 3, 0)] + "..."

    def _bold(self, text: str) -> str:
        return f"{_BOLD}{text}{_PLAIN}" if self._screen.color else text

    def _red(self, text: str) -> str:
        return f"{_RED}{text}{_PLAIN}" if self._screen.color else text


def _gist(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Leave out when a check was asked last, and by which name of its host: that alone is no news."""
    return [{name: value for name, value in row.items() if name not in ("at", "host", "output")} for row in rows]


def _asked(document: Mapping[str, Any]) -> list[str]:
    return [check["at"] for check in document["checks"]]


def _about(host: str, what: str) -> str:
    return what if what.startswith(host) else f"{host}: {what}"


def _measured(way: Mapping[str, Any]) -> str:
    took, failed = sorted(way["durations_s"]), way["failed"]
    failures = [f"failed {_times(failed)}"] if failed else []
    done = [f"{_seconds(took[len(took) // 2])}, done {_times(len(took))}"] if took else []
    told = [*done, *failures, *_rehearsed(way["rehearsed"])]
    return ", ".join(told) or "not measured yet"


def _rehearsed(way: Mapping[str, Any] | None) -> list[str]:
    if way is None:
        return []
    return ["failed when rehearsed" if way["failed"] else f"{_seconds(way['duration_s'])} when rehearsed"]


def _took(known: Mapping[str, Any] | None) -> str:
    """Say what is known of how long it takes to take a change back: what was measured, and of what."""
    if known is None:
        return ""
    what = "taken back before" if known["what"] == TO_TAKE_BACK else "applied"
    return f"; {what} in {_seconds(known['duration_s'])}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count) or f"{count} times"


def _seconds(duration_s: float) -> str:
    if duration_s < 0.1:  # noqa: PLR2004
        return "under 0.1 s"
    return f"{duration_s:.1f} s" if duration_s < 10 else f"{duration_s:.0f} s"  # noqa: PLR2004


def _age(limit_s: float) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if limit_s >= unit:
            return f"{limit_s / unit:g} {name}"
    return f"{limit_s:g} s"


def _minutes(left_s: float) -> str:
    return f"{-int(-left_s // _MINUTE_S)} min" if left_s < _HOUR_S else f"{left_s / _HOUR_S:.1f} h"
