"""Recurrences: an incident that says what an earlier one said, and what was to keep it from coming back. Pure.

What is compared are signatures (`model.signature`): of checks that were red, of commands that failed, of exceptions in
whatever was printed or pasted. They are read from what is recorded each time, and stored nowhere.

To call an incident a recurrence says that what was learned did not hold. So it takes a signature that tells one fault
from another:

- An empty output, "exit code 1" or "HTTP 500" say that something failed, not what: these are none. At least one word
  has to be left that is not among the words of every failure.
- "Connection refused", a time-out, "502 Bad Gateway" are none either, whatever address or name stands beside them: they
  are how any fault looks from the outside, one of the database as much as one of the application. `search` still shows
  what looked like that.
- What a command complains of that a person typed, such as a file that is not there, is one only where a check or an
  exception said the same on the other side: the same slip of the fingers twice is no fault.
- An incident that was open at the same time is the same trouble, not an earlier one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from backout.model.check import REHEARSAL, UNHEALTHY
from backout.model.incident import CHANGE, CHECK, COMMAND, NOTE, RESOLVED, Incident
from backout.model.ledger import KEPT, PREPARED, UNDONE, Change, has_effects
from backout.model.review import ACCEPTED, HANDED, Action
from backout.model.review import CHECK as A_CHECK
from backout.model.review import GUARD as A_GUARD
from backout.model.signature import ANY, exceptions, folded, is_decoration, telling

IN_FORCE, MISSING, UNKNOWN, OPEN = "in force", "missing", "not known", "open"
"""Where what proves an action stood when the bad change was made, beside what guards say of it: an action without any
proof is open."""
MOST_EARLIER = 200
"""So many incidents are looked through at most, the newest of them: it is done while somebody waits."""

Output = Callable[[str], str]
"""Gives an output that the journal keeps, by its SHA-256; empty where that is not known."""

_FOUND_NO_PROGRAM, _NOT_EXECUTABLE, _STOPPED = 127, 126, 130
"""Exit codes of a shell that tell of the typing, not of what was typed."""
_FROM_OUTSIDE = re.compile(
    r"connection (?:was )?(?:refused|reset|aborted|timed out|closed)|ConnectionRefused|ConnectionReset|BrokenPipe"
    r"|broken pipe|bad gateway|service unavailable|gateway time-?out|time-?out|timed out|couldn't connect"
    r"|failed to connect|no route to host|unreachable|empty reply|max retries|upstream|\b50[234]\b",
    re.IGNORECASE,
)
"""How any fault looks to whoever asks: it is no signature."""
_WORD = re.compile(r"[A-Za-z_][\w.]{2,}")
_OF_EVERY_FAILURE = re.compile(
    r"""alert|and|application|assert|attempt|call(?:ed)?|check|code|command|connect(?:ion)?|could(?:n)?|crit(?:ical)?
    |denied|did|directory|does|don|emerg|err|errno|errors?|exception|exit(?:ed)?|expected|fail(?:ed|ure)?|fatal|file|for
    |found|from|get|gone|got|has|have|host|https?|internal|invalid|its|last|line|main|missing|module|most|named?|no|non
    |none|not|occurred|one|panic|permission|port|post|process|recent|request|response|return(?:ed|code)|running|server
    |service|signal|status|such|terminated|than|that|the|this|trace(?:back)?|unable|unexpected|unknown|usage|value|was
    |web|when|while|with|worker|zero
    |(?:assertion|calledprocess|http|io|os|runtime|url|value)error|keyboardinterrupt|systemexit|urlopen""",
    re.VERBOSE | re.IGNORECASE,
)
"""Words that failures of all kinds have in common: what has no other says that something failed, and not what."""


class Recurrence(NamedTuple):
    """An earlier incident that said the same, and the lines that both said, folded as signatures are."""

    incident: Incident
    lines: tuple[str, ...]


class Today(NamedTuple):
    """What backout.toml has now for one environment: the names of its guards and its checks, and of all commands."""

    guards: Collection[str] = ()
    checks: Collection[str] = ()
    commands: Collection[str] = ()

    def has(self, sort: str, name: str) -> bool:
        """Tell whether a guard, a check or a command of that name is there."""
        return name in {A_GUARD: self.guards, A_CHECK: self.checks}.get(sort, self.commands)


def recurrences(own: Incident, others: Iterable[Incident], output: Output = lambda _: "") -> tuple[Recurrence, ...]:
    """Give the earlier incidents that said the same, newest first.

    Earlier is what was resolved before this one was declared; it may have been in another environment.
    """
    said = signs(own, output)
    if not said:
        return ()
    began = own.clock("declared") or own.declared_at
    earlier = [one for one in others if one.id != own.id and _ended_before(one, began)]
    words = {_telltale(line) for line in said}
    found = []
    for incident in sorted(earlier, key=lambda one: one.declared_at, reverse=True)[:MOST_EARLIER]:
        then = signs(incident, output, words)
        lines = tuple(line for line, sure in said.items() if line in then and (sure or then[line]))
        if lines:
            found.append(Recurrence(incident, lines))
    return tuple(found)


def _ended_before(incident: Incident, at: float) -> bool:
    ended = incident.clock("resolved") if incident.state == RESOLVED else None
    return ended is not None and ended <= at


def signs(incident: Incident, output: Output = lambda _: "", among: Collection[str] = ()) -> dict[str, bool]:
    """Give the signatures of an incident, and whether each is sure: a check's, or an exception.

    With `among` only what holds one of these words is looked at: it must be quick.
    """
    found: dict[str, bool] = {}
    for text, read in _texts(incident, output):
        if not among or any(word in text for word in among):
            for line, sure in read(text):
                sign = folded(line)
                if _tells(line, sign):
                    found[sign] = found.get(sign, False) or sure
    return found


_Lines = Iterator[tuple[str, bool]]


def _texts(incident: Incident, output: Output) -> Iterator[tuple[str, Callable[[str], _Lines]]]:
    """Give what was said in an incident, and how each is to be read."""
    yield incident.text, _raised
    for entry in incident.entries:
        body = entry.body
        if entry.kind == NOTE:
            yield entry.text, _raised
        elif entry.kind == CHECK and body.get("result") == UNHEALTHY:
            yield str(body.get("output", "")), _of_check
        elif entry.kind == CHANGE:
            yield from ((str(row.get("output", "")), _of_check) for row in _red(body))
        elif entry.kind == COMMAND:
            text = output(str(body.get("output", ""))) or str(body.get("tail", ""))
            yield text, _raised if body.get("exit_code") in _QUIET else _of_command


_QUIET = (0, None, _NOT_EXECUTABLE, _FOUND_NO_PROGRAM, _STOPPED)
"""After these exit codes, a command's last complaint is not why it failed: it did not."""


def _red(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Give the red results that a ledger's entry has of the live host."""
    body = entry.get("body")
    rows = (
        [row for key in ("before", "because", "results") for row in body.get(key, ())]
        if isinstance(body, Mapping)
        else []
    )
    return [row for row in rows if row.get("result") == UNHEALTHY and row.get("where") != REHEARSAL]


def _raised(text: str) -> _Lines:
    return ((line, True) for line in exceptions(text))


def _of_check(text: str) -> _Lines:
    yield telling(text), True


def _of_command(text: str) -> _Lines:
    yield from _raised(text)
    yield telling(text), False


def _tells(line: str, sign: str) -> bool:
    """Tell whether a line tells one fault from another."""
    if is_decoration(line) or _FROM_OUTSIDE.search(line):
        return False
    words = (word.strip(".").rpartition(".")[2] for word in _WORD.findall(sign))  # an exception without its module
    return any(not _OF_EVERY_FAILURE.fullmatch(word) for word in words)


def _telltale(sign: str) -> str:
    """Give the longest piece of a signature that stands in every text that has it."""
    return max(re.split(rf"[\s{re.escape(ANY)}]+", sign), key=len)


def bad_change(incident: Incident, changes: Iterable[Change]) -> Change | None:
    """Give the change that is taken for what did it; None where there is none.

    It is the last that the incident suspects; else the last one that its timeline has backed out or taken back; else
    the newest that was made there before the alarm.
    """
    known = {change.id: change for change in changes if has_effects(change.body)}
    named = [name for name in (*_taken_back(incident), *incident.suspects) if name in known]
    if named:
        return known[named[-1]]
    made = [one for one in known.values() if one.state in (KEPT, UNDONE) and _is_there(one, incident)]
    before = [one for one in made if one.at <= (incident.clock("declared") or incident.declared_at)]
    return max(before, key=lambda one: one.at, default=None)


def _is_there(change: Change, incident: Incident) -> bool:
    return (change.body.get("environment") or "local") == incident.environment


def _taken_back(incident: Incident) -> Iterator[str]:
    for entry in incident.of_kind(CHANGE):
        inner = entry.body.get("body")
        if entry.body.get("kind") == UNDONE:
            yield entry.text
        elif entry.body.get("kind") == PREPARED and isinstance(inner, Mapping) and inner.get("undoes"):
            yield str(inner["undoes"])


def standing(action: Action, change: Change | None, today: Today | None) -> str:
    """Say where what proves an action stood when a change was made.

    Of a guard the change's own record tells what became of it: refused, overridden, warned. Where that says nothing, it
    let the change through, or was not there: backout.toml of `today` tells, where it is that of the environment. What
    a person accepted or took over is just that.
    """
    proof = action.proof
    if proof is None or proof.sort in (ACCEPTED, HANDED):
        return OPEN if proof is None else proof.sort
    body = {} if change is None else change.body
    if proof.sort == A_GUARD:
        said = [row["outcome"] for row in body.get("guards", ()) if row["name"] == proof.name]
        if said:
            return str(said[-1])
    if proof.sort == A_CHECK and "checks" in body:
        return IN_FORCE if any(check["name"] == proof.name for check in body["checks"]) else MISSING
    if today is None:
        return UNKNOWN
    return IN_FORCE if today.has(proof.sort, proof.name) else MISSING
