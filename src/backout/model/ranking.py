"""How well passages answer what is searched for: which words of a question tell most, and which passage is first. Pure.

A question may be two words, or a whole log. It is cut into terms, each as telling as it is rare (BM25's idf); words of
its headline, and of the line that says what broke, count more, and a word that is repeated counts less each time. A
passage is scored by BM25F (Robertson, Zaragoza and Taylor 2004): title and text are saturated together. Pairs of
neighbours count as terms of their own, and so do the parts of compound names. To that comes how alike headline and
title are spelt, whatever the forms of their words; and what happened lately counts more.

The numbers below are the literature's usual ones, or were settled on other data than the one that docs/bench.md
measures on; it says how.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from backout.model.signature import telling
from backout.model.terms import Word, grams, likeness, stem, words

K1, B = 1.2, 0.75
"""BM25's own: how soon a term that is repeated in a passage counts no more, how much long passages are held back."""
K3 = 2.0
"""As K1, for what is repeated in the question."""
TITLE, TITLE_B = 2.0, 0.5
"""How often a word of a title counts; titles are about equally long."""
HEADLINE = 2.0
"""How often a word of the question's headline counts, and one of the line that says what broke."""
PART = 0.5
PAIR = 0.3
"""How much a part of a compound, and a pair of neighbours, counts beside a whole word."""
LEAST = 0.1
"""What is scored lower than this share of the best is no answer: it has some everyday words in common."""
EXCERPT = 160
"""So many characters are shown of a line."""
MOST_WORDS = 40
"""So many words of a long question are looked up: those that tell most."""
LONGEST = 20_000
"""So many characters of a passage, and of a question, are read: half from its beginning, half from its end."""
ALIKE = 0.8
"""How much a title that is spelt as the headline counts, beside the best of what else is said."""
RECENT_S, FADING = 30 * 86400.0, 0.1
"""What happened a while ago is needed again less and less, by a power of its age (Anderson and Schooler 1991)."""
_NO_HEADLINE = ("\t", " ", "at ", "Traceback ", "File ", "[", "{", "+ ")


class Passage(NamedTuple):
    """What can be found: a title, which may be empty, a text, and how many seconds ago it happened."""

    title: str
    text: str = ""
    age_s: float = 0.0


class Known(NamedTuple):
    """What an index knows: of how many passages it is, and how many of them hold a word; one not named is in none."""

    passages: int
    holding: Mapping[str, int]


class Question(NamedTuple):
    """What is searched for: how often each term was said, each pair of neighbours, and the words of each term."""

    terms: Mapping[str, float]
    pairs: Mapping[tuple[str, str], float]
    forms: Mapping[str, tuple[str, ...]]
    headline: Counter[str]
    """The pieces of the line that titles are held against."""

    def words(self) -> list[str]:
        """Give every word and part, to be asked of the index."""
        return sorted({form for forms in self.forms.values() for form in forms})


class _Field(NamedTuple):
    """A title or a text, counted."""

    terms: Mapping[str, float]
    pairs: Mapping[tuple[str, str], float]
    length: int


def question(text: str) -> Question:
    """Read what is searched for: a few words, a sentence with a log under it, a traceback."""
    text = _within(text)
    head, _, rest = text.strip().partition("\n")
    told, headed = telling(rest), not head.startswith(_NO_HEADLINE)
    parts = [(rest, 1.0), (head, HEADLINE if rest and headed else 1.0), (told, HEADLINE - 1)]
    terms: defaultdict[str, float] = defaultdict(float)
    pairs: defaultdict[tuple[str, str], float] = defaultdict(float)
    forms: dict[str, dict[str, None]] = {}
    for part, weight in parts:
        said = list(words(part))
        field = _counted(said)
        for term, count in field.terms.items():
            terms[term] += weight * count
        for pair, count in field.pairs.items():
            pairs[pair] += weight * count
        for word in said:
            for form in (word.text, *word.parts):
                forms.setdefault(stem(form), {})[form] = None
    known = {term: tuple(found) for term, found in forms.items()}
    return Question(terms, pairs, known, grams(head if headed or not told else told))


def looked_up(asked: Question, known: Known) -> list[str]:
    """Give the words by which to fetch what may answer, those that tell most first; none that the index lacks."""
    weights = weigh(asked, known)
    told = sorted(weights, key=lambda term: (-weights[term], term))[:MOST_WORDS]
    return [form for term in told for form in asked.forms[term] if known.holding.get(form)]


def ranked(asked: Question, known: Known, passages: Sequence[Passage]) -> list[tuple[int, float]]:
    """Give the places of the passages and their scores, best first; of equals the first given. None that is no answer.

    The passages are those that the words fetched: they tell, too, how common the parts of compounds are.
    """
    wanted = asked.terms.keys()
    fields = [(_counted(words(each.title), wanted), _counted(words(_within(each.text)), wanted)) for each in passages]
    weights = weigh(asked, known, Counter(term for title, text in fields for term in {**title.terms, **text.terms}))
    usual = [max(1.0, sum(field.length for field in column) / max(1, len(fields))) for column in zip(*fields)]
    said = [_score(asked, weights, both, usual) for both in fields]
    most = max(said, default=0.0)
    scored = [
        (at, (score / most + ALIKE * likeness(asked.headline, grams(passage.title))) * _recency(passage.age_s))
        for at, (score, passage) in enumerate(zip(said, passages))
        if score > 0
    ]
    best = max((score for _, score in scored), default=0.0)
    return sorted((row for row in scored if row[1] >= LEAST * best), key=lambda row: (-row[1], row[0]))


def excerpt(asked: Question, weights: Mapping[str, float], passage: Passage, begun: str = "") -> str:
    """Give the line of a passage that answers best, cut around its first telling word.

    `begun` is the end of a question that is still typed: a word that begins so tells, too.
    """
    lines = [line.strip() for line in _within(passage.text).splitlines() if line.strip()] or [passage.title]
    best = max(lines, key=lambda line: _telling(line, weights, begun.lower()))
    if len(best) <= EXCERPT:
        return best
    lower = best.lower()
    places = [lower.find(form) for term in weights for form in (*asked.forms[term], *filter(None, [begun.lower()]))]
    start = max(0, min([place for place in places if place >= 0], default=0) - EXCERPT // 4)
    cut = best[start : start + EXCERPT]
    return f"{'…' if start else ''}{cut}{'…' if start + EXCERPT < len(best) else ''}"


def _telling(line: str, weights: Mapping[str, float], begun: str) -> float:
    told = sum(weights.get(term, 0.0) for term in {stem(word.text) for word in words(line)})
    return told + (1 if begun and begun in line.lower() else 0)


def weigh(asked: Question, known: Known, seen: Mapping[str, int] | None = None) -> dict[str, float]:
    """Tell how much each term counts: how rare it is, times how often it was said, saturated.

    `seen` tells in how many passages a term was found, where that is more than the index knows of: it has no parts of
    compounds.
    """
    weights = {}
    for term, count in asked.terms.items():
        holding = max(known.holding.get(form, 0) for form in asked.forms[term])
        holding = min(known.passages, max(holding, (seen or {}).get(term, 0)))
        if holding:
            rarity = math.log(1 + (known.passages - holding + 0.5) / (holding + 0.5))
            weights[term] = rarity * _saturated(count, K3)
    return weights


def _counted(said: Iterable[Word], wanted: Container[str] | None = None) -> _Field:
    """Count terms and pairs of neighbours, only those of wanted terms; a part of a compound counts less."""
    terms: defaultdict[str, float] = defaultdict(float)
    pairs: defaultdict[tuple[str, str], float] = defaultdict(float)
    before, length = "", 0
    for word in said:
        length += 1
        for part in word.parts:
            if wanted is None or stem(part) in wanted:
                terms[stem(part)] += PART
        term = stem(word.text)
        if wanted is not None and term not in wanted:
            before = ""
            continue
        terms[term] += 1
        if before:
            pairs[before, term] += 1
        before = term
    return _Field(terms, pairs, length)


def _saturated(count: float, k: float) -> float:
    return count * (k + 1) / (count + k)


def _score(asked: Question, weights: Mapping[str, float], both: tuple[_Field, _Field], usual: Sequence[float]) -> float:
    title, text = both
    in_title = TITLE / (1 - TITLE_B + TITLE_B * title.length / usual[0])
    in_text = 1 / (1 - B + B * text.length / usual[1])
    score = 0.0
    for term in {**title.terms, **text.terms}:
        count = in_title * title.terms.get(term, 0) + in_text * text.terms.get(term, 0)
        score += weights.get(term, 0.0) * _saturated(count, K1)
    for pair in asked.pairs.keys() & (title.pairs.keys() | text.pairs.keys()):
        count = in_title * title.pairs.get(pair, 0) + in_text * text.pairs.get(pair, 0)
        weight = (weights.get(pair[0], 0.0) + weights.get(pair[1], 0.0)) / 2
        score += PAIR * weight * _saturated(count, K1)
    return score


def _recency(age_s: float) -> float:
    return math.pow(1 + max(0.0, age_s) / RECENT_S, -FADING)


def _within(text: str) -> str:
    """Read no more of a text than is worth it: what broke is said at its beginning or its end."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}\n{text[-LONGEST // 2 :]}"
