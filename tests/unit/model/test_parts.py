"""Stored facts: what is cut can be read, equal facts are stored once, and a comparison reads what differs alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.model.fact import Fact, Pair, pairs
from backout.model.parts import cut, differing, read

SUBJECTS = st.sampled_from(
    [f"/etc/{folder}/{name}" for folder in ("", "a", "a-b", "a.d", "é", "\udcff") for name in "xyz"]
)
FACTS = st.dictionaries(st.tuples(st.sampled_from(["os", "file", "user"]), SUBJECTS), st.integers(0, 2)).map(
    lambda found: sorted((Fact(*key, value) for key, value in found.items()), key=lambda fact: fact.key)
)


class Store:
    """Keeps parts, and counts what is read."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {}
        self.asked: list[str] = []

    def keep(self, facts: Sequence[Fact]) -> list[str]:
        """Cut and keep."""
        found = {hashlib.sha256(part).hexdigest(): part for part in cut(facts)}
        self.parts |= found
        return list(found)

    def content(self, name: str) -> bytes:
        """Give a part."""
        self.asked.append(name)
        return self.parts[name]


@given(FACTS, FACTS)
def test_what_differs_is_what_a_plain_comparison_finds(here: list[Fact], there: list[Fact]) -> None:
    """Parts are skipped and cut anywhere: none of that may lose a difference, or make one up."""
    store = Store()
    found = list(differing(store.keep(here), store.keep(there), store.content))
    assert found == [pair for pair in pairs(here, there) if pair.here != pair.there]
    one, other = {fact[:2]: fact for fact in here}, {fact[:2]: fact for fact in there}
    assert {(pair.here, pair.there) for pair in found} == {
        (one.get(key), other.get(key)) for key in {*one, *other} if one.get(key) != other.get(key)
    }


@given(FACTS)
def test_what_is_cut_is_read_back(facts: list[Fact]) -> None:
    """Names that are no UTF-8 included."""
    assert [fact for part in cut(facts) for fact in read(part)] == facts


def test_one_fact_more_among_many_makes_one_or_two_new_parts_and_no_other_is_read() -> None:
    """A look a day of a large tree must cost what changed, in the store and in a comparison."""
    facts = [Fact("file", f"/srv/{number:06}", number) for number in range(20_000)]
    store = Store()
    before = store.keep(facts)
    after = store.keep([*facts[:7_000], Fact("file", "/srv/006999x", 0), *facts[7_000:]])
    assert len(before) > 40
    assert len(set(after) - set(before)) <= 2
    assert list(differing(before, after, store.content)) == [Pair(None, Fact("file", "/srv/006999x", 0))]
    assert len(store.asked) <= 4


@pytest.mark.parametrize("part", [b"", b"[]", b'["file", "/x"]', b'["unheard-of", "x", 1]', b'["file", "/x", null]'])
def test_what_is_no_part_is_an_error(part: bytes) -> None:
    """It may have lain on a disk for years."""
    with pytest.raises(ValueError, match=r"part|value|column"):
        read(part)
