"""The report of a `backout.effects/1` document: what a person reads before saying yes.

Unless it is `full`, a report fits on the screen: what is asked for, surprises first, then the rest by reach, checks,
limits, verdict, the next command. What does not fit is counted, never dropped in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import tzinfo
from typing import Any, NamedTuple

from rich.text import Text

from backout.render.canvas import LABEL, cut, labelled, picture_of, text_of, wrapped
from backout.render.compared import comparison
from backout.render.effects import MARKS, counted, groups
from backout.render.guards import passed
from backout.render.layout import Laid, share
from backout.render.screen import Screen
from backout.render.telling import last_trouble, telling_line

_DECISIONS = {
    "allow": ("allowed", "bold green"),
    "ask": ("yours to decide", "bold yellow"),
    "refuse": ("refused", "bold red"),
    "backed out": ("backed out", "bold yellow"),
}
_RESULTS = {"healthy": ("healthy", "green"), "unhealthy": ("unhealthy", "bold red"), "not_run": ("not run", "dim")}
_ROOMY = 30
_MOST_CHECKS, _MOST_LIMITS, _MOST_REASONS = 4, 2, 4
_LINES_OF_ONE = 4
_STANDING = ("Only programs that honour http_proxy", "The rehearsal had no network", "Rehearsed without root")
"""How the limits begin that are said of every rehearsal of a kind: nobody reads them twice."""


class Wish(NamedTuple):
    """How a report is asked for: `full` folds nothing, `noise` lists what rules fold away.

    `who` asked, and `next_command` (such as the same command line with `run`) is offered before all other advice.
    `backed_out` is known of a recorded change, whose document is older than what became of it. Times are
    told in `zone`; None: in this machine's.
    """

    full: bool = False
    noise: bool = False
    who: str = ""
    next_command: str = ""
    backed_out: bool = False
    zone: tzinfo | None = None


SHORT = Wish()
"""What a report is unless it is asked for otherwise: folded to the screen."""


class _Block(NamedTuple):
    label: str
    style: str
    groups: list[Laid]


def report(document: dict[str, Any], screen: Screen, wish: Wish = SHORT) -> str:
    """Draw the report; unless it is full, it takes at most the screen's height less one line for the prompt."""
    return text_of(_parts(document, screen, wish), screen)


def report_picture(document: dict[str, Any], screen: Screen, title: str, wish: Wish = SHORT) -> str:
    """Draw the same report as an SVG picture of a terminal, without anything that must be fetched."""
    return picture_of(_parts(document, screen, wish), screen, title)


def _parts(document: dict[str, Any], screen: Screen, wish: Wish) -> list[Text]:
    head = _head(document, screen, wish)
    compared = comparison(document, screen, full=wish.full, zone=wish.zone)
    guards = passed(document, screen, full=wish.full)
    checks, noise = _checks(document["checks"], screen, wish), _noise(document["noise"], screen, wish)
    end = _verdict(document, screen, wish)
    blocks = _blocks(document["effects"], screen, full=wish.full)
    gaps = 0 if _tight(screen, wish) else max(len(blocks) - 1, 0)
    facts_gap = int(bool(compared or checks or guards or noise or document["limits"]))
    below = len(compared) + len(checks) + len(guards) + len(noise) + facts_gap + len(end) + 1
    room = screen.height - 1 - gaps - len(head) - 1 - below
    limits = _limits(document["limits"], room - _height(blocks), screen, wish)
    facts = [*compared, *checks, *guards, *limits, *noise]
    parts: list[Text] = [*head]
    for at, block in enumerate(_drawn(blocks, room - len(limits), full=wish.full)):
        parts += [Text(), *block] if at == 0 or gaps or wish.full else block
    for part in (facts, end):
        parts += [Text(), *part] if part else []
    return parts


def _tight(screen: Screen, wish: Wish) -> bool:
    """Tell whether lines are scarce: then what is told twice is told shortly."""
    return not wish.full and screen.height < _ROOMY


def _head(document: dict[str, Any], screen: Screen, wish: Wish) -> list[Text]:
    command: list[str] = document["command"]
    lines = command[0].splitlines() if len(command) == 1 else [" ".join(screen.word(part) for part in command)]
    shown = [screen.visible(line) for line in lines] or [""]
    if not wish.full:
        more = screen.plain("…")
        first = shown[0] + (f" {more}" if len(shown) > 1 else "")
        shown = [cut(first, screen.width - 2, more)]
    facts = [
        document["environment"] or "",
        document["host"],
        f"in {screen.name(document['cwd'])}",
        f"for {screen.visible(wish.who)}" if wish.who else "",
        f"exit {document['exit_code']} after {duration_text(document['duration_s'])}",
        f"change {document['change']}" if document["change"] else "",
    ]
    told = screen.plain(" · ").join(fact for fact in facts if fact)
    asked = [Text.assemble(("$ " if at == 0 else "  ", "dim"), (line, "bold")) for at, line in enumerate(shown)]
    return [*asked, *(Text.assemble("  ", line) for line in wrapped(told, screen.width - 2, "dim"))]


def duration_text(seconds: float) -> str:
    """Give a duration as people say it: 4 ms, 0.4 s, 12 s, 3 min 5 s."""
    if seconds < 0.1:  # noqa: PLR2004 - a tenth of a second
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004 - a tenth tells nothing there
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def _blocks(effects: Sequence[dict[str, Any]], screen: Screen, *, full: bool) -> list[_Block]:
    chosen = (("Surprises", "bold red", False), ("Expected", "bold green", True), ("Effects", "bold", None))
    found = []
    for label, style, expected in chosen:
        members = groups([e for e in effects if e["expected"] is expected], screen, full=full)
        lead, indent = (LABEL, 2) if len(members) == 1 else (2, 4)
        if members:
            found.append(_Block(label, style, [Laid(group, screen, lead, indent) for group in members]))
    return found


def _height(blocks: list[_Block]) -> int:
    """Tell how many lines the blocks would like to have."""
    return sum(laid.height for block in blocks for laid in block.groups) + _headings(blocks) or 1


def _headings(blocks: list[_Block]) -> int:
    return sum(len(block.groups) > 1 for block in blocks)


def _drawn(blocks: list[_Block], height: int, *, full: bool) -> list[list[Text]]:
    """Draw the blocks into a height."""
    if not blocks:
        return [labelled("Effects", [Text("none: nothing would be changed")])]
    wanted = [laid.height for block in blocks for laid in block.groups]
    shares = iter(wanted if full else share(wanted, height - _headings(blocks)))
    return [_block_lines(block, [next(shares) for _ in block.groups], full=full) for block in blocks]


def _block_lines(block: _Block, shares: list[int], *, full: bool) -> list[Text]:
    """Draw a block: the label beside the title of its one group, or above the titles of several."""
    alone = len(block.groups) == 1
    lines = [] if alone else [Text(block.label, block.style)]
    left_out = [laid for laid, height in zip(block.groups, shares, strict=True) if not height]
    for laid, height in zip(block.groups, shares, strict=True):
        lead = Text(block.label.ljust(LABEL), block.style) if alone else Text("  ")
        if height or len(left_out) == 1:  # one more title takes no more room than a count
            lines += [Text.assemble(lead, laid.title(max(height, 1))), *laid.rows(height - 1, full=full)]
    if len(left_out) > 1:
        count = sum(sum(laid.group.counts) for laid in left_out)
        lines.append(Text.assemble("  ", (f"{count} more (--full)", "dim")))
    return lines


def _checks(results: Sequence[dict[str, Any]], screen: Screen, wish: Wish) -> list[Text]:
    by_name: dict[str, dict[str, dict[str, Any]]] = {}
    for result in results:
        by_name.setdefault(result["name"], {})[result["where"]] = result
    ordered = sorted(by_name.items(), key=lambda item: not any(r["result"] == "unhealthy" for r in item[1].values()))
    width = max((len(screen.visible(name)) for name in by_name), default=0)
    lines: list[Text] = []
    for name, there in ordered:
        lines += _check_lines(screen.visible(name).ljust(width), there, screen, wish)
    return labelled("Checks", _folded(lines, _MOST_CHECKS, len(ordered), screen, wish))


def _check_lines(name: str, there: dict[str, dict[str, Any]], screen: Screen, wish: Wish) -> list[Text]:
    arrow = (screen.plain(" → "), "dim")
    line = Text.assemble(name, "  ")
    for at, where in enumerate(where for where in ("before", "rehearsal", "after") if where in there):
        word, style = _RESULTS[there[where]["result"]]
        line.append_text(
            Text.assemble(*([arrow] if at else []), (word, style), (f" {where}" if wish.full else "", "dim"))
        )
    said = last_trouble(there).strip()
    if not said:
        return [line]
    if wish.full:
        output = [screen.visible(text.expandtabs(4)) for text in said.split("\n")]
        return [line, *(Text("  " + text, style="dim") for text in output)]
    more = screen.plain("…")
    told = screen.visible(telling_line(said).expandtabs(4))
    line.append("  " + cut(told, max(screen.width - LABEL - line.cell_len - 2, 8), more), style="dim")
    return [line]


def _folded(lines: list[Text], most: int, count: int, screen: Screen, wish: Wish) -> list[Text]:
    """Keep at most so many lines, the last one counting the rest."""
    if wish.full or len(lines) <= most:
        return lines
    more = screen.plain(f"… and {count - most + 1} more (--full)")
    return [*lines[: most - 1], Text(more, style="dim")]


def _limits(limits: Sequence[str], room: int, screen: Screen, wish: Wish) -> list[Text]:
    """Show limits whole, those of this very rehearsal first, as many as the room holds; count the others."""
    width, more = screen.width - LABEL, screen.plain("…")
    ordered = sorted(limits, key=lambda limit: limit.startswith(_STANDING))
    told = [wrapped(screen.visible(limit), width) for limit in ordered]
    room = max(room, 1 if _tight(screen, wish) else _MOST_LIMITS)
    if wish.full or sum(map(len, told)) <= room:
        return labelled("Limits", [line for lines in told for line in lines])
    if room == 1 and len(limits) > 1:
        return labelled("Limits", [Text(f"{len(limits)} limits to what this rehearsal could see or keep in (--full)")])
    fit = next(n for n in range(len(told), -1, -1) if sum(map(len, told[:n])) + 1 <= room)
    if not fit:
        first = wrapped(screen.visible(ordered[0]), width, most=room - (len(limits) > 1), more=more)
        told, fit = [first], 1
    lines = [line for lines in told[:fit] for line in lines]
    left_out = len(limits) - fit
    return labelled(
        "Limits", [*lines, *([Text(screen.plain(f"… and {left_out} more (--full)"), "dim")] * bool(left_out))]
    )


def _noise(noise: Sequence[dict[str, Any]], screen: Screen, wish: Wish) -> list[Text]:
    if not noise:
        return []
    counts = Counter(str(entry["rule"]) for entry in noise)
    rules = ", ".join(f"{screen.visible(rule)} {count}" for rule, count in counts.most_common())
    rules, paths = rules if len(counts) > 1 else screen.visible(*counts), counted(len(noise), "path")
    if not wish.noise:
        line = f"{paths} folded away (--noise): {rules}"
        return labelled("Noise", [Text(cut(line, screen.width - LABEL, screen.plain("…")), style="dim")])
    listed = [
        Text(f"{MARKS.get(entry['op'], ' ')} {screen.name(entry['path'])}  {screen.visible(entry['rule'])}")
        for entry in sorted(noise, key=lambda entry: (entry["rule"], entry["path"]))
    ]
    return labelled("Noise", [Text(f"{paths}: {rules}"), *listed])


def _verdict(document: dict[str, Any], screen: Screen, wish: Wish) -> list[Text]:
    verdict = document["verdict"]
    word, style = _DECISIONS["backed out" if wish.backed_out or _was_backed_out(document) else verdict["decision"]]
    reasons: list[dict[str, str]] = verdict["reasons"]
    states = list(dict.fromkeys(screen.visible(r["state"]) for r in reasons if r["state"]))
    width, more = screen.width - LABEL, screen.plain("…")
    headline, *below = wrapped(screen.plain(" · ").join(filter(None, (word, " ".join(states)))), width)
    headline.stylize(style, 0, len(word))
    most = 0 if wish.full else _LINES_OF_ONE if len(reasons) == 1 else 1 if _tight(screen, wish) else 2
    told: list[Text] = []
    shown = reasons if wish.full or len(reasons) == _MOST_REASONS + 1 else reasons[:_MOST_REASONS]
    for reason in shown:
        told += wrapped(screen.visible(reason["what"]), width, most=most, more=more)
    if len(shown) < len(reasons):
        told.append(Text(screen.plain(f"… and {len(reasons) - len(shown)} more (--full)"), style="dim"))
    return [*labelled("Verdict", [headline, *below, *told]), *_next(reasons, screen, wish)]


def _was_backed_out(document: dict[str, Any]) -> bool:
    """Tell whether a refusal came after the apply: checks were made there, or the state is that it was backed out."""
    verdict = document["verdict"]
    made = any(result["where"] == "after" for result in document["checks"])
    said = any(reason["state"].startswith("It was backed out") for reason in verdict["reasons"])
    return verdict["decision"] == "refuse" and (made or said)


def _next(reasons: Sequence[dict[str, str]], screen: Screen, wish: Wish) -> list[Text]:
    """Name what to do next; commands stay in one piece, so that they can be copied."""
    advice = list(dict.fromkeys(screen.visible(r["next"]) for r in reasons if r["next"]))
    kept = advice if wish.full else advice[:_MOST_REASONS]
    lines = [Text(screen.visible(wish.next_command), style="bold")] if wish.next_command else []
    for text in kept:
        lines += wrapped(text, screen.width - LABEL)
    return labelled("Next", lines)
