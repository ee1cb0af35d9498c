"""Draws `backout.parity/1` and `backout.drift/1`: what differs, by meaning, what surprises first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

from rich.text import Text

from backout.render.canvas import LABEL, aligned, cut, labelled, text_of, wrapped
from backout.render.effects import counted
from backout.render.screen import Screen
from backout.render.when import when_text

_GROUPS = (
    ("Debian packages", ("debian-package",)),
    ("Python", ("python", "python-package")),
    ("Services", ("service", "variable", "timer", "cron", "port")),
    ("Settings", ("config",)),
    ("Users", ("user", "group")),
    ("System", ("os", "kernel", "timezone", "locale", "sysctl", "mount")),
    ("Certificates", ("certificate",)),
    ("Files", ("file",)),
)
_BARE = ("debian-package", "python-package", "service", "config", "file", "cron")
_WORDS = {"sha256": "content"}
_MOST = 8
"""So many differences of a meaning are shown where not everything is."""
_LONGEST = 36


def parity(document: dict[str, Any], screen: Screen, *, full: bool = False, zone: tzinfo | None = None) -> str:
    """Draw a `backout.parity/1` document; without `full`, the first few of each meaning."""
    between = [row for row in document["differences"] if row["within"] is None]
    lines = [
        _headline(document, between, screen),
        *grouped(between, screen, full=full, hosts=_all(document), zone=zone),
    ]
    for name in dict.fromkeys((document["here"], document["there"])):
        inside = [row for row in document["differences"] if row["within"] == name]
        if inside:
            lines += [Text(), Text(f"Hosts of {screen.visible(name)} do not agree", style="bold")]
            lines += grouped(inside, screen, full=full, hosts=None, zone=zone)
    folded = _folded(document, screen, zone)
    return text_of([*lines, *([Text(), *folded] if folded else [])], screen)


def drift(document: dict[str, Any], screen: Screen, *, full: bool = False, zone: tzinfo | None = None) -> str:
    """Draw a `backout.drift/1` document: host by host what changed, and who probably did it."""
    lines: list[Text] = []
    for row in document["hosts"]:
        lines += [*([Text()] if lines else []), *_of_host(row, document["environment"], screen, zone, full=full)]
    return text_of(lines, screen)


def _of_host(row: dict[str, Any], environment: str, screen: Screen, zone: tzinfo | None, *, full: bool) -> list[Text]:
    host = screen.visible(row["host"])
    if row["error"]:
        return wrapped(screen.visible(f"{host}: not looked at. {row['error']}"), screen.width, "bold red")
    if row["ground"] is None:
        return wrapped(f"{host}: looked at for the first time. From now on drift can be told.", screen.width)
    since = when_text(row["ground"], zone)
    own = f" {counted(len(row['changes']), 'change')} of backout's in between." if row["changes"] else ""
    if not row["differences"]:
        return wrapped(f"{host}: no drift since {since}.{own}", screen.width, "bold green")
    lines = wrapped(
        f"{host}: {counted(len(row['differences']), 'difference')} since {since}.{own}", screen.width, "bold"
    )
    lines += grouped(row["differences"], screen, full=full, hosts=[row["host"]], zone=zone)
    if row["adopted"]:
        return [*lines, Text(), *wrapped(f"Adopted as change {row['adopted']}; it cannot be taken back.", screen.width)]
    adopt = f"backout drift {screen.word(environment)} --adopt --why TEXT"
    return [*lines, Text(), *labelled("Next", [Text(f"{adopt} records it as a change")])]


def _headline(document: dict[str, Any], between: Sequence[Any], screen: Screen) -> Text:
    names = f"{document['here']} and {document['there']}"
    if not document["differences"]:
        return Text(screen.visible(f"{names} are the same where they should be."), style="bold green")
    arrow = screen.plain("→")
    told = f"{counted(len(between), 'difference')} ({document['here']} {arrow} {document['there']})"
    style = "bold red" if between else "bold"
    return Text(screen.visible(f"{names}: {told}" if between else f"{names} differ in no more than is odd"), style)


def _all(document: dict[str, Any]) -> tuple[str, ...]:
    return tuple(look["host"] for look in document["looks"] if look["environment"] == document["there"])


def grouped(
    differences: Sequence[dict[str, Any]],
    screen: Screen,
    *,
    full: bool,
    hosts: Sequence[str] | None,
    zone: tzinfo | None,
) -> list[Text]:
    """Draw differences by meaning; `hosts` are those that a difference holds for when nothing is said of them."""
    lines: list[Text] = []
    for title, kinds in _GROUPS:
        members = [row for row in differences if row["kind"] in kinds]
        if not members:
            continue
        shown = members if full or len(members) <= _MOST + 1 else members[:_MOST]
        lines += [Text(), Text.assemble((title, "bold"), f" ({len(members)})")]
        notes = [_notes(row, screen, zone) for row in shown]
        rows = aligned([_row(row, screen, hosts) for row in shown], 2, screen.width)
        for at, (line, note) in enumerate(zip(rows, notes, strict=True)):
            lines += [line, *(note if note != (notes[at + 1] if at + 1 < len(rows) else None) else [])]
        if len(shown) < len(members):
            lines.append(Text(screen.plain(f"  … and {len(members) - len(shown)} more (--full)"), style="dim"))
    return lines


def _row(row: dict[str, Any], screen: Screen, hosts: Sequence[str] | None) -> list[Text]:
    subject = row["subject"] if row["kind"] in _BARE else f"{row['kind']} {row['subject']}"
    before, after = _sides(row, screen)
    told = hosts is None or list(row["hosts"]) != list(hosts)
    return [
        Text(screen.plain({"added": "+", "removed": "-"}.get(row["op"], "~")), style="bold"),
        Text(screen.name(subject)),
        Text(before, style="dim"),
        Text(screen.plain("→")),
        Text(after),
        Text(screen.visible(f"on {', '.join(row['hosts'])}") if told and row["hosts"] else "", style="yellow"),
    ]


def _sides(row: dict[str, Any], screen: Screen) -> tuple[str, str]:
    before, after = row["before"], row["after"]
    if isinstance(before, dict) and isinstance(after, dict):
        names = [name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]
        if row.get("owners"):
            names = [name for name in names if name not in ("uid", "gid")]
            before, after = (
                {**side, "owner": owner} for side, owner in zip((before, after), row["owners"], strict=True)
            )
            names.insert(0, "owner")
        elif row["kind"] == "file":
            names = [name for name in names if name not in ("uid", "gid")]
        if "sha256" in names and "size" in names:
            names.remove("size")
        before, after = ({name: side.get(name) for name in names} for side in (before, after))
    return _value(before, screen), _value(after, screen)


def _value(value: Any, screen: Screen) -> str:
    """Say a value in few words; nothing is there: none."""
    if isinstance(value, dict):
        if value.get("type") == "missing":
            return "missing"
        words = [f"{_WORDS.get(name, name)} {_word(name, held)}" for name, held in value.items() if held is not None]
        told = ", ".join(word for word in words if not word.startswith(("xattrs ", "type file")))
    else:
        told = "none" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return cut(screen.visible(told or "none"), _LONGEST, screen.plain("…"))


def _word(name: str, held: Any) -> str:
    if name == "sha256":
        return f"{str(held)[:8]}"
    return held if isinstance(held, str) else json.dumps(held, ensure_ascii=False)


def _notes(row: dict[str, Any], screen: Screen, zone: tzinfo | None) -> list[Text]:
    notes = []
    if row.get("hidden"):
        keys = ", ".join(key.rpartition("#")[2] for key in row["hidden"])
        notes.append(f"maybe in what is masked: {keys}")
    if row.get("since"):
        notes.append(_since(row["since"], zone))
    if row.get("by"):
        notes.append(_by(row["by"]))
    return [line for note in notes for line in _indented(screen.visible(note), screen)]


def _indented(text: str, screen: Screen) -> list[Text]:
    return [Text.assemble("      ", line) for line in wrapped(text, screen.width - 6, "dim")]


def _since(since: dict[str, Any], zone: tzinfo | None) -> str:
    if since["host"] is None:
        return (
            f"differed before the first look at both ({when_text(since['before'], zone)})"
            if since["before"]
            else "unknown"
        )
    between = f"between {when_text(since['after'], zone)} and {when_text(since['before'], zone)}"
    if since["change"] is None:
        return f"{between}, on {since['host']}: drift"
    sure = "" if since["sure"] else "probably "
    return f"{between}, on {since['host']}: {sure}change {since['change']}"


def _by(by: dict[str, Any]) -> str:
    who = by["what"] if by["what"].startswith("perhaps ") else f"by {by['what']}"
    return f"{who}: {by['evidence']}" if by["evidence"] else who


def _folded(document: dict[str, Any], screen: Screen, zone: tzinfo | None) -> list[Text]:
    """Say what is not told, and why."""
    told: list[tuple[str, str]] = []
    told += [("Meant", f"{r['count']}: {r['why']} ({r['what']})") for r in document["differs"] if r["count"]]
    told += [("Dead rule", _dead(rule)) for rule in document["differs"] if not rule["count"]]
    told += [("Own", f"{row['count']}: {row['why']}") for row in document["own"]]
    if document["baseline"]:
        told.append(("Accepted", _baseline(document["baseline"])))
    if document["not_comparable"]:
        count = counted(len(document["not_comparable"]), "value")
        told.append(("Masked", f"{count} not comparable: masked on both sides"))
    stored: dict[tuple[str, str], list[str]] = {}
    for look in document["looks"]:
        if look["stored"]:
            stored.setdefault((when_text(look["at"], zone), look["stored"]), []).append(look["host"])
    told += [("As of", f"{at}: {', '.join(hosts)}, {why}") for (at, why), hosts in stored.items()]
    told += [("Limit", limit) for limit in document["limits"]]
    return [
        line for label, text in told for line in labelled(label, wrapped(screen.visible(text), screen.width - LABEL))
    ]


def _dead(rule: dict[str, Any]) -> str:
    return f"{rule['what']} of {rule['environment']} matches nothing any more: take it out of backout.toml"


def _baseline(baseline: dict[str, Any]) -> str:
    if baseline["expired"]:
        return f"until {baseline['until']}, which is past: all {baseline['accepted']} count again ({baseline['why']})"
    return f"{baseline['folded']} until {baseline['until']} by {baseline['who']}: {baseline['why']}"
