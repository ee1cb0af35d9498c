"""Who is alike, who goes when, and what stands where: decided from values alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.model.rollout import (
    KEPT,
    NOT_THERE,
    REFUSED,
    UNDONE,
    Group,
    Pace,
    Standing,
    attempt,
    groups,
    is_of,
    is_share,
    norm,
    size,
    standing,
    together,
    waves,
)

ID = "20261123-170412-kfd"
HOSTS = st.lists(st.text("abc123", min_size=1), unique=True, max_size=60)
WAVES = st.one_of(st.integers(1, 100).map(lambda share: f"{share}%"), st.integers(1, 80).map(str))


@given(HOSTS, st.integers(0, 70), WAVES)
def test_every_host_is_in_exactly_one_wave_and_the_canary_goes_first(hosts: list[str], canary: int, wave: str) -> None:
    """One that is in none is forgotten; one that is in two is done twice."""
    planned = waves(hosts, Pace(canary, wave))
    assert [host for one in planned for host in one] == hosts
    assert all(planned)
    if canary and hosts:
        assert list(planned[0]) == hosts[:canary]
    rest = planned[1:] if canary else planned
    assert [len(one) for one in rest[:-1]] == [size(wave, len(hosts))] * len(rest[:-1])
    assert all(len(one) <= size(wave, len(hosts)) for one in rest)


@pytest.mark.parametrize(
    ("wave", "hosts", "expected"), [("25%", 38, 10), ("25%", 3, 1), ("1%", 3, 1), ("100%", 7, 7), ("5", 3, 5)]
)
def test_a_wave_is_a_number_or_a_share_of_all_hosts(wave: str, hosts: int, expected: int) -> None:
    """A part of a host counts as one, so that a share never needs more waves than it says."""
    assert size(wave, hosts) == expected


def test_what_is_no_size_of_waves_is_told_apart() -> None:
    """A wave of nobody would never end."""
    assert [text for text in ("0", "0%", "101%", "-1", "", "all", "2.5", "1 ") if is_share(text)] == []
    with pytest.raises(ValueError, match="no size of waves"):
        size("0%", 3)


@given(st.dictionaries(st.text("abc", min_size=1), st.sampled_from("xyz")))
def test_every_host_is_in_the_group_of_its_digest_and_a_tie_has_no_norm(digests: dict[str, str]) -> None:
    """The largest group is what is meant, and only when there is one."""
    found = groups(digests)
    assert {host: group.digest for group in found for host in group.hosts} == digests
    sizes = [len(group.hosts) for group in found]
    assert sizes == sorted(sizes, reverse=True)
    meant = norm(found)
    assert (meant is None) == (not sizes or sizes.count(sizes[0]) > 1)
    for group in found:
        assert norm(found, group.digest) == group
    assert norm(found, "unheard-of") is None


def test_groups_keep_the_order_of_the_environment() -> None:
    """It is the order in which people know their hosts, and in which waves go."""
    found = groups({"web3": "x", "web1": "y", "web2": "x"})
    assert found == (Group("x", ("web3", "web2")), Group("y", ("web1",)))


def change(change: str, state: str, undone_by: str | None = None) -> dict[str, Any]:
    """A change as a host tells it."""
    return {"id": change, "state": state, "undone_by": undone_by}


STATES = st.sampled_from(["prepared", "applied", "undoing", "kept", "undone", "refused"])


@given(st.lists(st.tuples(STATES, st.booleans()), max_size=5))
def test_the_newest_attempt_says_where_a_host_stands_and_what_stands_is_done(history: list[tuple[str, bool]]) -> None:
    """A resume never names a host that has the change, and never an id that its ledger has."""
    names = [ID, *(f"{ID}-{number}" for number in range(2, 8))]
    changes = [
        change(name, state, "other" if back and state == "kept" else None)
        for name, (state, back) in zip(names, history)
    ]
    found = standing([change("20260101-000000-aaa", "kept"), *changes], ID)
    if not history:
        assert found == Standing(NOT_THERE)
    else:
        state, back = history[-1]
        assert (found.state == KEPT) == (state == "kept" and not back)
        assert (found.state == UNDONE) == (state == "undone" or (state == "kept" and back))
        assert (found.state == REFUSED) == (state == "refused")
    again = attempt(found, ID)
    assert again not in {row["id"] for row in changes}
    assert again == names[len(history)]
    assert is_of(ID, again)


def test_another_rollout_is_not_taken_for_an_attempt() -> None:
    """Two ids of one second differ in their letters alone."""
    assert not is_of(ID, "20261123-170412-kfe")
    assert not is_of("20261123-170412", ID)
    assert not is_of(ID, f"{ID}-x")


def test_of_each_check_the_worst_result_is_told_and_whose_it_is() -> None:
    """Thirty-seven healthy hosts must not hide the one that is not."""

    def result(word: str, output: str = "") -> dict[str, Any]:
        return {"name": "answers", "where": "after", "result": word, "output": output}

    rows = {"web1": [result("healthy", "ok")], "web2": [result("unhealthy", "503")], "web3": [result("not_run")]}
    assert together(rows) == [result("unhealthy", "web2: 503")]
    assert together({"web2": [result("unhealthy", "503")]}) == [result("unhealthy", "503")]
    assert rows["web2"] == [result("unhealthy", "503")]
