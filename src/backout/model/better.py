"""What to write instead of weak wording: a proposal that names what is missing, and makes up nothing. Pure.

What only the writer knows is left as `…` or DATE.
"""

from __future__ import annotations

import re
from typing import Callable, NamedTuple

from backout.model import phrases

SENSIBLE = "say what was done, and what made it the sensible thing to do then"
WAYS = "say what happened; another way into the same state is a path that could have led to it"
LET_IT_PASS = "say what was done, and what let it through: which check or guard was not there"  # noqa: S105 - a sentence
NOT_WHO = "say what made it possible, whoever it was: which check, guard or page was not there"

_SEEN = "verb, object, and how one sees that it is done"
_NAMED = "name what is added or changed for it"
_PARENTHESES = re.compile(r"\s*\([^()]*\)")
_REASON = phrases.words(r"so|because|since|in[ ]order[ ]to")
_ASKING = phrases.words(r"if|whether|how|why|what|which|who|where|when")
_IF = re.compile(r"if\b", re.IGNORECASE)
_ARTICLE = re.compile(r"\A(?:our|the)\s+", re.IGNORECASE)
_TIE = re.compile(r"\A(?:about|of|on|to|with)\s+")
_TOGETHER = re.compile(r"agree|align|ask|collab|coord|discuss|liaise|propos|recomm|suggest|talk|told", re.IGNORECASE)
_TAUGHT = re.compile(r"advis|coach|communicat|educat|encourag|inform|remind|shar|teach|tell|train", re.IGNORECASE)
_KIND = re.compile(
    rf"""(?:\w+\s+)?(?:(?P<watched>{phrases.WATCHED})|(?P<written>{phrases.WRITTEN})|tests?|testing|coverage)
    (?:\s+(?:about|around|for|of|on)\s+(?P<what>.+))?""",
    phrases.FLAGS,
)


class Act(NamedTuple):
    """An action's title, cut at the words that were found; what only leads up to the act is left out."""

    before: str
    words: str
    after: str


Better = Callable[[Act], str]
"""Proposes another wording."""


def says(text: str) -> Better:
    """Propose the same of every act."""
    return lambda _act: text


ANSWERED = says(f"Answer it by DATE, and write what is changed then: {_SEEN}")
COMPARED = says("Say it by a figure and its limit, or by the name of what is added or changed")
ACTED = says(f"Say what is done about it: {_SEEN}")


def decided(act: Act) -> str:
    """Give an end to what is to be found out."""
    about = _about(act, _REASON)
    if _ASKING.match(about):
        return f"Write down by DATE {_IF.sub('whether', about)}, and what is changed then"
    if _ASKING.search(act.words):
        return f"Write down by DATE {_IF.sub('whether', act.words.split()[-1])} {about}, and what is changed then"
    return f"Decide about {about or '…'} by DATE: write down what was found, and what is changed then"


def done(act: Act) -> str:
    """Give the act itself, where it is only to be tried, or a way to it is only to be found."""
    if act.words.lower().startswith(("find", "come", "work")) and not re.match(r"\s*to\b", act.after):
        return decided(act)
    return f"{capital(_about(act, _REASON)) or '…'}: {_NAMED}"


def refused(act: Act) -> str:
    """Give a thing that does what people are asked to."""
    if _TOGETHER.match(act.words):
        return f"Decide about {_about(act, _REASON) or '…'} by DATE: write down what holds from then on, and where"
    if _TAUGHT.match(act.words):
        return "Write down … where it is needed, and let a guard or a check look at it: one that is red when …"
    return "A guard that refuses …, or a check that is red when …: it looks each time, and nobody has to remember"


def measured(act: Act) -> str:
    """Give a measure to a degree."""
    about = _ARTICLE.sub("", _about(act, phrases.SINCE))
    kind = _KIND.fullmatch(about)
    if kind and kind["watched"]:
        return f"Alert when {kind['what'] or '…'} … for … minutes: name the figure and its limit"
    if kind and kind["written"]:
        return f"Write down … about {kind['what'] or '…'} in …: name what is to be read there"
    if kind:
        return f"Add a test that is red when {kind['what'] or '…'} …"
    return f"Bring {about or '…'} from … to …: name the figure, or {_NAMED.partition(' ')[2]}"


def named(act: Act) -> str:
    """Ask what it is about."""
    if re.search(rf"\b(?:{phrases.WATCHED}|metrics)$", act.words, re.IGNORECASE):
        return "Alert when … is over … for … minutes: name what is watched, and its limit"
    return f"{capital(act.words)} …: name what it is about, so that one sees whether it is there"


def meant(act: Act) -> str:
    """Give the act without what leaves it open."""
    without = " ".join(f"{act.before.rstrip()} {act.after}".split())
    return f"Say that it is done ({capital(without)}), or accept the risk by name until a date"


def capital(text: str) -> str:
    """Begin with a capital."""
    return text[:1].upper() + text[1:]


def _about(act: Act, until: re.Pattern[str]) -> str:
    """Give what an act is about: without what is in parentheses, what it is for, and what ends it."""
    since = until.search(act.after)
    about = _PARENTHESES.sub("", act.after[: since.start()] if since else act.after)
    return _TIE.sub("", about.strip(" \t.,;:!?-"))
