"""What the other commands tell: the record, conflicts, doctor's findings, checks, gc, recovery.

Each function draws the document of the same command's `--json`; the shapes are the schemas in `render/schemas`.
"""

from __future__ import annotations

import itertools
import shlex
from datetime import tzinfo
from typing import Any

from rich.text import Text

from backout.render.canvas import LABEL, aligned, cut, labelled, text_of, wrapped
from backout.render.diff import diff_lines
from backout.render.effects import counted, size_text
from backout.render.guards import in_words
from backout.render.obligations import owed
from backout.render.report import SHORT, Wish, report
from backout.render.screen import Screen
from backout.render.telling import telling_line
from backout.render.when import when_text

_STATES = {
    "kept": ("kept", "green"),
    "undone": ("undone", ""),
    "backed out": ("backed out", "yellow"),
    "refused": ("refused", "red"),
    "ready": ("ready", "green"),
    "unfinished": ("unfinished", "bold red"),
}
_RESULTS = {"healthy": "green", "unhealthy": "bold red", "not_run": "dim"}
_GONE = "let go by gc: it can be neither taken back nor run once more"
_MOST_CONFLICTS = 20
_RECOVERED = {"kept": "all new, its effects stand", "undone": "all old, the host is as before it"}


def state_word(change: dict[str, Any]) -> str:
    """Say where a change stands, as people do: kept, undone, refused, ready, backed out, unfinished.

    Backed out is what took itself back because a check turned red; undone is what a person took back later. Ready is
    what `split` put together of another change.
    """
    if change["state"] in ("prepared", "applied", "undoing"):
        return "unfinished"
    if change["state"] == "undone":
        return "backed out"
    if change["state"] == "refused" and change["split_from"]:
        return "ready"
    return "undone" if change["state"] == "kept" and change["undone_by"] else str(change["state"])


def log(document: dict[str, Any], screen: Screen, zone: tzinfo | None = None) -> str:
    """Draw a `backout.changes/1` document in the order given: two lines a change, the second says why and what.

    A change is let go when gc has removed its bits: it can be neither taken back nor run once more.
    """
    changes = document["changes"]
    if not changes:
        return text_of([Text("No change is on record."), *owed(document, screen)], screen)
    heads = aligned([log_row(change, screen, zone) for change in changes], 0, screen.width)
    abouts = [Text("  " + cut(about(change, screen), screen.width - 2, screen.plain("…"))) for change in changes]
    return text_of([*itertools.chain.from_iterable(zip(heads, abouts, strict=True)), *owed(document, screen)], screen)


def log_row(change: dict[str, Any], screen: Screen, zone: tzinfo | None) -> list[Text]:
    """Give the cells of a change's first line: id, state, time, where, who."""
    word, style = _STATES[state_word(change)]
    return [
        Text(screen.visible(change["id"]), style="bold"),
        Text(f"{word}, let go" if change["expired"] else word, style=style),
        Text(when_text(change["at"], zone), style="dim"),
        Text(screen.visible(change["environment"] or change["host"])),
        Text(screen.visible(change["who"])),
    ]


def about(change: dict[str, Any], screen: Screen) -> str:
    """Say in one line what a change is: which guards it met, its reason, and its command."""
    command = command_text(change["command"])
    if change["undoes"]:
        command = f"takes back {change['undoes']}"
    elif change["split_from"]:
        command = f"split from {change['split_from']}"
    return screen.visible(" · ".join(filter(None, (in_words(change.get("guards", ())), change["why"], command))))


def command_text(command: list[str]) -> str:
    """Give a command as it was typed: one argument is a line for the shell, several are quoted."""
    return command[0] if len(command) == 1 else shlex.join(command)


def show(
    change: dict[str, Any],
    effects: dict[str, Any] | None,
    screen: Screen,
    wish: Wish = SHORT,
    zone: tzinfo | None = None,
) -> str:
    """Draw one change of the record, and the report of its effects where these are still known."""
    word, style = _STATES[state_word(change)]
    since = f" by {change['undone_by']}" if change["undone_by"] else ""
    since = f", split from {change['split_from']}" if change["split_from"] else since
    facts = [
        ("Change", Text.assemble((change["id"], "bold"), "  ", (word, style), since)),
        ("When", Text(when_text(change["at"], zone))),
        ("Who", Text(screen.visible(change["who"]))),
        (
            "Where",
            Text(screen.visible(screen.plain(" · ").join(filter(None, (change["environment"], change["host"]))))),
        ),
        ("Why", Text(screen.visible(change["why"]))),
        ("Command", Text(screen.visible(command_text(change["command"])))),
        ("Takes back", Text(change["undoes"] or "")),
        ("Repeats", Text(change["redoes"] or "")),
        ("Bits", Text(_GONE if change["expired"] else "")),
    ]
    told = [line for label, text in facts if text.plain for line in labelled(label, [text])]
    text = text_of(told, screen)
    below = screen._replace(height=screen.height - len(told) - 1)
    if effects is not None and change["expired"]:
        effects = _without_offers(effects)
    wish = wish._replace(backed_out=state_word(change) == "backed out")
    return text if effects is None else f"{text}\n{report(effects, below, wish)}"


def _without_offers(effects: dict[str, Any]) -> dict[str, Any]:
    """Leave out what was to be done next: without its bits, nothing can be done with a change any more."""
    reasons = [{**reason, "next": ""} for reason in effects["verdict"]["reasons"]]
    return {**effects, "verdict": {**effects["verdict"], "reasons": reasons}}


def back(document: dict[str, Any], screen: Screen) -> str:
    """Draw a `backout.back/1` document: what was taken back, the checks after it, and every conflict as a diff."""
    parts: list[Text] = [
        Text.assemble(("Taken back ", "bold green"), (change["change"], "bold"), "  ", screen.visible(change["what"]))
        for change in document["undone"]
    ]
    saved = [path for change in document["undone"] for path in change["saved"]]
    if saved:
        parts += labelled("Edits", [Text(f"saved as {screen.name(path)}") for path in saved])
    noise = sum(change["noise_kept"] for change in document["undone"])
    if noise:
        parts += labelled("Noise", [Text(f"{counted(noise, 'path')} moved on since: the live version stays")])
    if document["checks"]:
        parts += labelled("Checks", _check_rows(document["checks"], screen))
    if document["conflicts"]:
        parts += _conflicts(document["conflicts"], screen)
    for reason in document["reasons"]:
        parts += labelled("Needs you", wrapped(f"{reason['what']} {reason['state']}", screen.width - LABEL, "bold red"))
        parts += labelled("Next", [Text(screen.visible(reason["next"]))])
    return text_of(parts or [Text("Nothing stands that could be taken back.")], screen)


def conflicts(found: list[dict[str, Any]], screen: Screen) -> str:
    """Draw conflicts (the `conflicts` of `backout.back/1`): each as a diff, and what decides them."""
    return text_of(_conflicts(found, screen), screen)


def _conflicts(found: list[dict[str, Any]], screen: Screen) -> list[Text]:
    count = f"{counted(len(found), 'path')} {'was' if len(found) == 1 else 'were'}"
    headline = f"{count} edited since the change. Nothing was overwritten."
    parts: list[Text] = [*labelled("Conflict", [Text(headline, style="bold red")])]
    for conflict in found[:_MOST_CONFLICTS]:
        parts += [
            Text(),
            Text.assemble((screen.name(conflict["path"]), "bold"), "  ", screen.visible(conflict["what"])),
        ]
        if conflict["diff"]:
            parts += [Text.assemble("  ", line) for line in diff_lines(conflict["path"], conflict["diff"], screen)]
    if len(found) > _MOST_CONFLICTS:
        more = f"… and {len(found) - _MOST_CONFLICTS} more (--json lists all)"
        parts += [Text(), Text(screen.plain(more), style="dim")]
    rows = [
        [Text("--keep-edits", style="bold"), Text("take back everything else; these paths stay as they are now")],
        [Text("--discard-edits", style="bold"), Text("take these paths back, too; what they hold now is saved first")],
    ]
    return [*parts, Text(), *labelled("Next", aligned(rows, 0))]


def checks(results: list[dict[str, Any]], screen: Screen) -> str:
    """Draw check results as a list, the most telling line of its output beside each that is unhealthy."""
    return text_of(_check_rows(results, screen) or [Text("No checks are set for this environment.")], screen)


def _check_rows(results: list[dict[str, Any]], screen: Screen) -> list[Text]:
    width = max((len(screen.visible(result["name"])) for result in results), default=0)
    rows = []
    for result in results:
        row = Text.assemble(screen.visible(result["name"]).ljust(width), "  ")
        row.append(result["result"].replace("_", " ").ljust(9), style=_RESULTS[result["result"]])
        row.append(f"  {result['where']}", style="dim")
        said = telling_line(result["output"]) if result["result"] == "unhealthy" else ""
        if said:
            room = max(screen.width - LABEL - row.cell_len - 2, 8)
            row.append("  " + cut(screen.visible(said.expandtabs(4)), room, screen.plain("…")), style="dim")
        rows.append(row)
    return rows


def doctor(document: dict[str, Any], screen: Screen) -> str:
    """Draw a `backout.doctor/1` document: what this host can do, and how to mend what it cannot."""
    marks = {True: ("ok", "green"), False: ("no", "bold red")}
    width = max((len(finding["name"]) for finding in document["findings"]), default=0)
    parts: list[Text] = []
    for finding in document["findings"]:
        word, style = marks[finding["ok"]]
        head = Text.assemble((word, style), "  ", (finding["name"].ljust(width), "bold"), "  ")
        indent = head.cell_len
        lines = wrapped(screen.visible(finding["what"]), screen.width - indent)
        remedy = (
            [] if finding["ok"] else [Text(screen.visible(line), "bold") for line in finding["remedy"].splitlines()]
        )
        parts.append(Text.assemble(head, lines[0]))
        parts += [Text.assemble(" " * indent, line) for line in (*lines[1:], *remedy)]
    end = (
        ("This host can do all of it.", "green") if document["ok"] else ("Some of it is not possible here.", "bold red")
    )
    return text_of([*parts, Text(), Text(*end)], screen)


def gc(document: dict[str, Any], screen: Screen) -> str:
    """Draw a `backout.gc/1` document: whose kept bits went, what that freed, how many can still be taken back."""
    rows = [
        [Text(change["change"], style="bold"), Text(size_text(change["size_bytes"]))] for change in document["expired"]
    ]
    freed, kept = size_text(document["freed_bytes"]), counted(document["kept"], "change")
    count = counted(len(rows), "change")
    end = f"{count} let go, {freed} freed; {kept} can still be taken back."
    if document["dry_run"]:  # `kept` counts what stands now, and so perhaps some of these
        end = f"{count} would be let go, {freed} freed."
    if not rows:
        end = f"Nothing to let go; {kept} can still be taken back."
    return text_of([*(aligned(rows, 0) if rows else []), Text(end)], screen)


def recovered(document: dict[str, Any], screen: Screen) -> str:
    """Draw a `backout.recovered/1` document: to which side each unfinished change was brought."""
    lines = [
        Text.assemble((change["change"], "bold"), "  ", f"{change['state']}: {_RECOVERED[change['state']]}")
        for change in document["recovered"]
    ]
    lines = lines or [Text("No change was left unfinished.")]
    if document["mended"]:
        count = "1 entry" if document["mended"] == 1 else f"{document['mended']} entries"
        lines.insert(0, Text(f"The ledger is whole again: {count} came back from the journal."))
    return text_of(lines, screen)
