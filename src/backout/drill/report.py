"""What the drill ends with: a table, a document, and a page that draws the availability of the five runs."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent
from typing import Any, NamedTuple

from backout.drill.claims import Act
from backout.render import availability


class Outcome(NamedTuple):
    """A drill that was played: with what, its acts, and where its page and (when kept) its folder are."""

    tool: str
    python: str
    live: bool
    acts: tuple[Act, ...]
    seconds: float
    page: str | None = None
    folder: str | None = None

    @property
    def sentence(self) -> str:
        """Say whether the story came true, and if not, what did not."""
        for number, act in enumerate(self.acts, start=1):
            if act.untrue:
                return f"Act {number} ({act.title}) did not go as it should. It was to show that {act.untrue[0]}."
        return "The story came true, and ended well."

    @property
    def came_true(self) -> bool:
        """Tell whether every claim of every act holds."""
        return not any(act.untrue for act in self.acts)


def document(outcome: Outcome) -> dict[str, Any]:
    """Give the `backout.drill/1` document."""
    return {
        "schema": "backout.drill/1",
        "came_true": outcome.came_true,
        "sentence": outcome.sentence,
        "tool": outcome.tool,
        "python": outcome.python,
        "live": outcome.live,
        "duration_s": round(outcome.seconds, 1),
        "page": outcome.page,
        "folder": outcome.folder,
        "acts": [_act_document(act) for act in outcome.acts],
    }


def _act_document(act: Act) -> dict[str, Any]:
    return {
        "title": act.title,
        "command": act.command,
        "exit_code": act.exit_code,
        "downtime_s": round(act.seen.downtime_s, 2),
        "failed": act.seen.failed,
        "total": act.seen.total,
        "surprises": list(act.surprises),
        "parts": list(act.parts),
        "letter": act.letter,
        "claims": [claim._asdict() for claim in act.claims],
    }


def table(outcome: Outcome) -> str:
    """Draw the table, the claims that did not come true, and where the page is."""
    rows = [("act", "exit", "downtime", "requests failed")]
    rows += [_row(number, act) for number, act in enumerate(outcome.acts, start=1)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}".rstrip()
        for row in rows
    ]
    lines += [f"\nWhat broke it: {part}" for act in outcome.acts for part in act.parts]
    letters = [act.letter.strip() for act in outcome.acts if act.letter]
    names = ("The letter to the client", "The letter after the review")
    lines += [f"\n{name}:\n\n{indent(letter, '  ')}" for name, letter in zip(names, letters, strict=False)]
    lines += ["", outcome.sentence, f"Played with {outcome.tool} on {outcome.python} in {outcome.seconds:.0f} s."]
    lines += [f"{name}: {where}" for name, where in (("Page", outcome.page), ("Folder", outcome.folder)) if where]
    return "\n".join(lines)


def _row(number: int, act: Act) -> tuple[str, str, str, str]:
    seen = act.seen
    return (
        f"{number} {act.title}",
        str(act.exit_code),
        f"{seen.downtime_s:.1f} s" if seen.failed else "none",
        f"{seen.failed} of {seen.total}",
    )


def page(acts: Sequence[Act]) -> str:
    """Draw the availability of the acts as one self-contained HTML page."""
    return availability.page(
        [
            availability.Run(
                name=act.title,
                seconds=act.seen.duration_s,
                failed=act.seen.failed,
                total=act.seen.total,
                samples=[(at_s, ok, latency_s * 1000) for at_s, ok, latency_s in act.seen.samples],
                events=list(act.seen.events),
            )
            for act in acts
        ]
    )
