"""Parity: what a user would call a difference, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from backout.model.agreement import Row, rows
from backout.model.fact import KINDS, Fact, pairs
from backout.model.meant import accepted, sort, split
from backout.model.parity import Comparison, Difference, comparable, masked, names
from backout.model.redact import MASK
from backout.model.selector import Rule, parse_selector

FILE = {"type": "file", "mode": "0644", "uid": 0, "gid": 0, "size": 3, "sha256": "a" * 64}


def ordered(*facts: tuple[str, str, Any]) -> list[Fact]:
    """Give facts in their order."""
    return sorted((Fact(*fact) for fact in facts), key=lambda fact: fact.key)


def compared(here: Sequence[Fact], there: Sequence[Fact]) -> list[Difference]:
    """Compare two hosts."""
    return list(Comparison(names(here), names(there), masked(here)).differences(pairs(here, there)))


def subjects(here: Sequence[Fact], there: Sequence[Fact]) -> list[str]:
    """Name what differs."""
    return sorted(f"{found.kind}:{found.subject}" for found in compared(here, there))


def test_owners_are_compared_by_name_since_numbers_mean_something_on_their_own_host_alone() -> None:
    """A service's user is made by its package: which number it gets is up to the order of installation."""
    one = ordered(
        ("user", "shop", {"uid": 101, "gid": 102, "shell": "/bin/sh"}),
        ("group", "shop", {"gid": 102, "members": []}),
        ("file", "/srv/x", {**FILE, "uid": 101, "gid": 102}),
    )
    other = ordered(
        ("user", "shop", {"uid": 999, "gid": 998, "shell": "/bin/sh"}),
        ("group", "shop", {"gid": 998, "members": []}),
        ("file", "/srv/x", {**FILE, "uid": 999, "gid": 998}),
    )
    assert subjects(one, other) == []
    stranger = [fact if fact.kind != "file" else fact._replace(value={**FILE, "uid": 101}) for fact in other]
    assert subjects(one, stranger) == ["file:/srv/x"]


def test_a_persons_number_counts() -> None:
    """People are given their numbers, and shared disks know them by these."""
    one, other = (ordered(("user", "ada", {"uid": uid, "gid": 100, "home": "/home/ada"})) for uid in (1000, 1001))
    assert subjects(one, other) == ["user:ada"]


def test_a_file_is_told_by_its_keys_and_as_a_file_where_no_key_differs() -> None:
    """One setting that differs is one difference."""
    one = ordered(("config", "/etc/x.ini#a", "1"), ("file", "/etc/x.ini", FILE), ("file", "/etc/y", FILE))
    changed = {**FILE, "sha256": "b" * 64, "size": 4}
    other = ordered(("config", "/etc/x.ini#a", "2"), ("file", "/etc/x.ini", changed), ("file", "/etc/y", changed))
    assert subjects(one, other) == ["config:/etc/x.ini#a", "file:/etc/y"]
    comment = ordered(("config", "/etc/x.ini#a", "1"), ("file", "/etc/x.ini", changed), ("file", "/etc/y", FILE))
    assert subjects(one, comment) == ["file:/etc/x.ini"]
    private = [f if f.kind != "file" else f._replace(value={**f.value, "mode": "0600"}) for f in other]
    assert subjects(one, private) == ["config:/etc/x.ini#a", "file:/etc/x.ini", "file:/etc/y"]


def test_a_file_that_is_only_here_is_one_difference() -> None:
    """Its keys come and go with it."""
    one = ordered(("config", "/etc/x.ini#a", "1"), ("config", "/etc/x.ini#b", "1"), ("file", "/etc/x.ini", FILE))
    assert subjects(one, []) == subjects([], one) == ["file:/etc/x.ini"]


def test_a_file_name_may_hold_what_ends_a_path_in_a_key() -> None:
    """`#` is a letter like any other in a name."""
    one = ordered(("config", "/etc/#x#a", "1"), ("file", "/etc/#x", FILE), ("file", "/etc/", FILE))
    other = ordered(("config", "/etc/#x#a", "2"), ("file", "/etc/#x", {**FILE, "size": 1}), ("file", "/etc/", FILE))
    assert subjects(one, other) == ["config:/etc/#x#a"]


def test_masked_keys_of_a_file_that_differs_cannot_be_compared_and_are_named() -> None:
    """Two secrets look alike when masked: to call them the same would be a lie, and so would the opposite."""
    one = ordered(("config", "/srv/.env#PASSWORD", MASK), ("file", "/srv/.env", FILE), ("variable", "shop#TOKEN", MASK))
    other = [f if f.kind != "file" else f._replace(value={**FILE, "sha256": "b" * 64}) for f in one]
    comparison = Comparison(names(one), names(other), masked(one))
    (found,) = comparison.differences(pairs(one, other))
    assert (found.subject, found.hidden) == ("/srv/.env", ("/srv/.env#PASSWORD",))
    assert comparison.hidden == {("config", "/srv/.env#PASSWORD"), ("variable", "shop#TOKEN")}
    rule = Rule(parse_selector("config:/srv/.env#PASSWORD", KINDS), "each its own")
    row = Row(None, found, ("b",))
    assert sort([row], [rule]).counts == [1]
    assert sort([row], [rule._replace(what=parse_selector("config:/srv/.env#OTHER"))]).left == [row]


def test_a_port_on_an_address_of_each_hosts_own_is_the_same_port() -> None:
    """What listens on 10.0.0.1 here and on 10.0.0.2 there is one service; on loopback it is another thing."""
    one = ordered(("port", "tcp/10.0.0.1:80", "nginx"), ("port", "tcp/127.0.0.1:25", "exim4"))
    other = ordered(("port", "tcp/10.0.0.2:80", "nginx"), ("port", "tcp/0.0.0.0:25", "exim4"))
    assert subjects(one, other) == ["port:tcp/0.0.0.0:25", "port:tcp/127.0.0.1:25"]
    apache = ordered(("port", "tcp/10.0.0.2:80", "apache2"), ("port", "tcp/127.0.0.1:25", "exim4"))
    assert len(subjects(one, apache)) == 2


def test_a_disk_is_compared_by_what_it_is_and_not_by_its_name() -> None:
    """A UUID is another one on every host; that one has half of the room, or an option less, counts."""
    disk = {"type": "ext4", "source": "/dev/sda1", "options": "rw,relatime", "size": 10_000_000_000}
    near = {**disk, "source": "UUID=1", "size": 10_010_000_000, "options": "relatime,rw"}
    for other, differs in ((near, False), ({**disk, "size": 5}, True), ({**disk, "options": "ro"}, True)):
        assert bool(subjects(ordered(("mount", "/", disk)), ordered(("mount", "/", other)))) is differs
    nfs = {"type": "nfs", "source": "nas:/a", "options": "rw"}
    assert subjects(ordered(("mount", "/n", nfs)), ordered(("mount", "/n", {**nfs, "source": "nas:/b"})))


def test_folders_are_not_compared_by_size() -> None:
    """It tells how a file system keeps names."""
    one, other = (Fact("file", "/srv", {**FILE, "type": "dir", "size": size}) for size in (1, 2))
    assert comparable(one, names([])) == comparable(other, names([]))


def test_what_is_each_hosts_own_is_counted_and_not_told_unless_one_has_none() -> None:
    """A machine id that is missing is news."""
    one, other = ({**FILE, "sha256": digit * 64} for digit in "12")
    found = Difference("file", "/etc/machine-id", one, other, one, other)
    gone = found._replace(after=None, there=None)
    result = sort([Row(None, found, ("b",)), Row(None, gone, ("b",))], [])
    assert ([row.difference for row in result.left], sum(result.own.values())) == ([gone], 1)


VALUES = st.sampled_from(["1", "2", "3"])
HOSTS = st.dictionaries(
    st.tuples(
        st.sampled_from(["debian-package", "python-package", "config", "port"]), st.sampled_from(["a", "b", "/c#d"])
    ),
    VALUES,
).map(lambda found: ordered(*((kind, subject, value) for (kind, subject), value in found.items())))


@settings(max_examples=40, deadline=None)
@given(HOSTS, HOSTS)
def test_parity_is_symmetric(here: list[Fact], there: list[Fact]) -> None:
    """`compare A B` and `compare B A` tell the same, the other way around."""
    assert sorted(map(str, compared(here, there))) == sorted(str(found.turned()) for found in compared(there, here))


def _rows(ours: list[list[Fact]], theirs: list[list[Fact]]) -> list[Row]:
    here, there = [f"a{n}" for n in range(len(ours))], [f"b{n}" for n in range(len(theirs))]
    facts = dict(zip([*here, *there], [*ours, *theirs]))
    found = {host: compared(facts["a0"], facts[host]) for host in [*here[1:], *there]}
    return rows(("staging", here), ("production", there), found)


@settings(max_examples=40, deadline=None)
@given(st.lists(HOSTS, min_size=1, max_size=3), st.lists(HOSTS, min_size=1, max_size=3))
def test_rows_tell_every_host_that_differs_once(ours: list[list[Fact]], theirs: list[list[Fact]]) -> None:
    """From the rows and what is usual, every value of every host follows; nobody is told of twice in one."""
    told = _rows(ours, theirs)
    for kind, subject in {fact[:2] for facts in (*ours, *theirs) for fact in facts}:
        here, there = (
            [next((f.value for f in facts if f[:2] == (kind, subject)), None) for facts in side]
            for side in (ours, theirs)
        )
        about = [row for row in told if row.difference[:2] == (kind, subject)]
        odd = {host: row.difference.there for row in about if row.within for host in row.hosts}
        between = [row for row in about if row.within is None]
        usual = {row.within: row.difference.here for row in about if row.within}
        ours_usual = usual.get("staging", here[0])
        theirs_usual = usual.get("production", there[0])
        assert here == [odd.get(f"a{n}", ours_usual) for n in range(len(here))]
        assert there == [odd.get(f"b{n}", theirs_usual) for n in range(len(there))]
        assert [(row.difference.here, row.difference.there) for row in between] == (
            [] if ours_usual == theirs_usual else [(ours_usual, theirs_usual)]
        )


@settings(max_examples=40, deadline=None)
@given(st.lists(HOSTS, min_size=1, max_size=3), st.lists(HOSTS, min_size=1, max_size=2), st.data())
def test_what_is_folded_and_what_is_shown_are_all_differences(
    ours: list[list[Fact]], theirs: list[list[Fact]], data: Any
) -> None:
    """Law 2 for parity: nothing falls between a rule, a baseline and the report."""
    told = _rows(ours, theirs)
    rules = [Rule(parse_selector("config:*"), "x"), Rule(parse_selector("*:a"), "y")]
    result = sort(told, rules)
    assert len(result.left) + result.folded + sum(result.own.values()) == len(told)
    some = data.draw(st.lists(st.sampled_from(result.left), unique_by=str)) if result.left else []
    left, folded = split(result.left, [accepted(row) for row in some])
    assert folded == len(some)
    assert sorted(map(str, [*left, *some])) == sorted(map(str, result.left))


def test_the_order_of_what_was_found_does_not_matter() -> None:
    """Hosts answer when they like."""
    theirs = [ordered(*(("debian-package", f"p{n}", str(m)) for n in range(9))) for m in (1, 1, 2)]
    found = {f"b{n}": compared([], facts) for n, facts in enumerate(theirs)}
    hosts = ("production", ["b0", "b1", "b2"])
    straight = rows(("staging", ["a0"]), hosts, found)
    shuffled = {host: random.Random(7).sample(found[host], len(found[host])) for host in reversed(found)}
    assert rows(("staging", ["a0"]), hosts, shuffled) == straight
    assert {row.hosts for row in straight} == {("b0", "b1"), ("b2",)}
