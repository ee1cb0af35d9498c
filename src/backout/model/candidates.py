"""Candidates: guards that would have refused a bad change, from what it did; and which of them costs least. Pure.

Nothing here tells whether one refuses: that is found out by replaying it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from backout.model.effect import Effect
from backout.model.guard import number
from backout.model.rules.max_jump import PACKAGES, crosses, package
from backout.model.verdict import first

REVIEWED_AFTER = timedelta(days=180)
"""When somebody looks whether a guard is still right, where nobody says otherwise."""
_MOST_NAMED = 5
"""So many packages or paths are named in a guard; whoever would name more means all of them."""
_DAYS, _HOURS = ["mon-fri"], "09:00-17:00"
_NAMED, _FORBID, _EVERY, _MOST, _PINNED, _STAGED, _WINDOW = 0, 100, 200, 300, 400, 500, 600
"""How much a guard stands in the way of, from one package's major versions to the hours of the week."""


class Scene(NamedTuple):
    """What is known of the bad change and of where it was made.

    `part` are the selectors of what split found guilty, `most` the most effects of a kind (`*`: of all together) that
    a change which did no harm had, `zone` the time zone of those who work there.
    """

    incident: str
    about: str
    environment: str
    bad: Sequence[Effect]
    good: Sequence[Effect] = ()
    part: Collection[str] = ()
    most: Mapping[str, int] = {}
    same_as: str = ""
    zone: str = "UTC"
    today: date = date.min


class Candidate(NamedTuple):
    """A guard to be: its table of backout.toml, and how much it stands in the way of (less is better)."""

    table: Mapping[str, Any]
    breadth: int

    @property
    def name(self) -> str:
        """Give its name."""
        return str(self.table["name"])


class Cost(NamedTuple):
    """What something would have cost, and kept away, on the changes on record."""

    harmless: int
    harmful: int
    breadth: int


def rank(cost: Cost) -> tuple[int, int, int]:
    """Order by what it would have cost: harmless changes refused, then harm prevented, then how much it forbids."""
    return cost.harmless, -cost.harmful, cost.breadth


def proposed(scene: Scene, taken: Collection[str] = ()) -> list[Candidate]:
    """Propose guards, each with a name that is not `taken`."""
    where = {"environments": [scene.environment]} if scene.environment else {}
    about = f"{scene.incident}: {scene.about}" if scene.about else f"Incident {scene.incident}"
    named, found = {*taken}, []
    for (name, rule, settings, says), breadth in _each(scene):
        free = _free(name, named)
        named.add(free)
        rest = {"why": about, "says": says, "incident": scene.incident, "review_by": scene.today + REVIEWED_AFTER}
        found.append(Candidate({"name": free, "rule": rule, **where, **settings, **rest}, breadth))
    return found


_Proposal = tuple[str, str, dict[str, Any], str]
"""A name, a rule, its settings, and what it means in a sentence that a client understands."""


def _each(scene: Scene) -> Iterator[tuple[_Proposal, int]]:
    on = f" on {scene.environment}" if scene.environment else ""
    yield from _jumping(scene, on)
    yield from _forbidding(scene, on)
    yield from _counting(scene, on)
    if any(effect.kind == "python-package" for effect in scene.bad):
        yield ("pinned", "pinned", {}, f"Python packages{on} come in exact versions alone."), _PINNED
    if scene.same_as:
        says = f"What is done{on} was done on {scene.same_as} first, and was healthy there."
        yield ("staged-first", "staged-first", {}, says), _STAGED
    hours = {"hours": _HOURS, "days": _DAYS, "zone": scene.zone}
    says = f"Changes{on} are made from Monday to Friday between 9 and 17 o'clock ({scene.zone}) alone."
    yield ("working-hours", "window", hours, says), _WINDOW


def _jumping(scene: Scene, on: str) -> Iterator[tuple[_Proposal, int]]:
    """Name packages that crossed a major version: the guilty ones, those that the good change left, all; then any."""
    crossed = [effect for effect in scene.bad if effect.kind in PACKAGES and crosses(effect)]
    if not crossed:
        return
    let = {_selector(effect) for effect in scene.good if effect.kind in PACKAGES and crosses(effect)}
    groups = (
        [effect for effect in crossed if f"{effect.kind}:{effect.subject}" in scene.part],
        [effect for effect in crossed if _selector(effect) not in let],
        crossed,
    )
    seen: list[list[str]] = []
    for group in groups:
        what = sorted({_selector(effect) for effect in group})
        if 0 < len(what) <= _MOST_NAMED and what not in seen:
            seen.append(what)
            names = sorted({package(effect) for effect in group})
            verb = "no longer moves" if len(names) == 1 else "no longer move"
            says = f"{_listed(names)} {verb} to another major version{on} unless asked for by name."
            name = f"{names[0]}-stays" if len(names) == 1 else "packages-stay"
            yield (name, "max-jump", {"what": what}, says), _NAMED + len(what)
    says = f"No package moves to another major version{on} unless asked for by name."
    yield ("no-major-jumps", "max-jump", {}, says), _EVERY


def _forbidding(scene: Scene, on: str) -> Iterator[tuple[_Proposal, int]]:
    """Forbid what split found guilty, whatever it is, else what the good change left alone, where that is little."""
    if not scene.part and any(effect.kind in PACKAGES and crosses(effect) for effect in scene.bad):
        return  # what came along is no culprit: that is in `_jumping`
    let = {_selector(effect) for effect in scene.good}
    guilty = [
        effect
        for effect in scene.bad
        if (f"{effect.kind}:{effect.subject}" in scene.part if scene.part else _selector(effect) not in let)
    ]
    what = sorted({_selector(effect) for effect in guilty})
    if 0 < len(what) <= _MOST_NAMED:
        told = first([effect.subject.rpartition(":")[2] or effect.subject for effect in guilty])
        name = f"no-{guilty[0].kind}" if len(guilty) > 1 else f"hands-off-{_slug(told)}"
        yield (name, "forbid", {"what": what}, f"{told} is not changed{on} any more."), _FORBID + len(what)


def _counting(scene: Scene, on: str) -> Iterator[tuple[_Proposal, int]]:
    """Allow no more effects than a change that did no harm had."""
    counts = Counter(effect.kind for effect in scene.bad)
    for kind in (*PACKAGES, "*"):
        count = len(scene.bad) if kind == "*" else counts[kind]
        most = max(scene.most.get(kind, 0), 1)
        if count > most:
            noun = "thing" if kind == "*" else f"{'Python' if kind.startswith('python') else 'Debian'} package"
            says = f"No change{on} touches more than {number(most, noun)} at once."
            name = "few-at-once" if kind == "*" else f"few-{kind}s"
            yield (name, "max-effects", {"most": {kind: most}}, says), _MOST + (kind == "*")


def most_of(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Give the most effects of each kind (`*`: of all together) among changes, each given as how many it had."""
    most: Counter[str] = Counter()
    for each in counts:
        most |= Counter({**each, "*": sum(each.values())})
    return dict(most)


def _selector(effect: Effect) -> str:
    """Name an effect as a guard does: a Python package wherever it is installed."""
    return f"{effect.kind}:{package(effect) if effect.kind in PACKAGES else _literal(effect.subject)}"


def _literal(subject: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in subject)


def _slug(text: str) -> str:
    """Make a part of a guard's name of any text."""
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in text.rpartition("/")[2])
    return "-".join(filter(None, kept.split("-"))) or "it"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _free(name: str, taken: Collection[str]) -> str:
    """Give the name, or with a number where another has it."""
    slug = _slug(name)
    return next(
        free for free in (slug, *(f"{slug}-{number}" for number in range(2, len(taken) + 3))) if free not in taken
    )
