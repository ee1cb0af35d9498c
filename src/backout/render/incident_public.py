"""What everybody may read of an incident: put together from what was said in public, nothing taken out of the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from typing import Any

from backout.render.incident_story import CLOCK_WORDS, duration_text, moment_text
from backout.render.screen import Screen

_SAID = (("seen", "What was seen"), ("changed", "What changed"), ("remedy", "The remedy"))
"""The fields of notices that are told on; they were written for those who are outside."""


def public(document: Mapping[str, Any], zone: tzinfo | None = None) -> str:
    """Write the text. It reads severity, status, clocks, downtime and the words of notices that were sent; no more."""
    status, impact = document["public"]["status"], document["public"]["impact"]
    parts = [f"Status: {status}. Impact: {impact}.", *_words(document, zone)]
    clocks = [
        f"{words[:1].upper()}{words[1:]}: {moment_text(document['clocks'][name][-1], zone)}"
        for name, words in CLOCK_WORDS.items()
        if document["clocks"][name]
    ]
    whole = next(row for row in document["downtime"] if row["audience"] is None)
    length = duration_text(whole["seconds"]) if whole["seconds"] else "none"
    length = "not known" if whole["source"] == "unknown" else length
    return "\n\n".join([*parts, "\n".join(clocks), f"Downtime: {length}"]) + "\n"


def _words(document: Mapping[str, Any], zone: tzinfo | None) -> Iterable[str]:
    """Give what was said, each once: several audiences are mostly told the same."""
    sent = {one["notice"] for one in document["deliveries"] if one["state"] == "sent"}
    told = set[str]()
    for row in document["entries"]:
        body = row["body"]
        if row["kind"] != "notice" or body.get("notice") not in sent:
            continue
        fields = body.get("fields", {})
        lines = [f"{label}: {_shown(str(fields[name]))}" for name, label in _SAID if fields.get(name)]
        words = "\n".join(line for line in lines if line not in told)
        told |= set(lines)
        if words:
            yield f"{moment_text(row['at'], zone)}\n{words}"


def _shown(text: str) -> str:
    return "\n".join(map(Screen().visible, text.split("\n")))
