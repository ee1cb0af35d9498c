"""All lenses together: law 2, on whatever lies in the two trees."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import backout.lens
from backout.lens.meaning import lenses
from backout.model.digest import digest
from backout.model.service import ServiceRequest
from backout.model.state import State
from kit.trees import DIR, Entry, TreeView, accounted, link, named, path_of, regular

SITE = "/srv/v/lib/python3.11/site-packages"
PATHS = [
    "/",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/subuid",
    "/etc/crontab",
    "/etc/cron.d/shop",
    "/var/spool/cron/crontabs/ana",
    "/etc/systemd/system/multi-user.target.wants",
    "/etc/systemd/system/multi-user.target.wants/shop.service",
    "/etc/systemd/system/shop.service",
    "/etc/rc2.d/S01shop",
    "/var/lib/systemd/deb-systemd-helper-enabled/shop.service.dsh-also",
    "/var/lib/dpkg/status",
    "/var/lib/dpkg/info/shop.list",
    "/var/lib/dpkg/info/shop.md5sums",
    "/var/lib/dpkg/triggers/File",
    "/var/lib/apt/extended_states",
    "/usr/bin/shop",
    f"{SITE}/six.py",
    f"{SITE}/six-1.dist-info",
    f"{SITE}/six-1.dist-info/METADATA",
    f"{SITE}/six-1.dist-info/RECORD",
    f"{SITE}/old.egg-info",
    f"{SITE}/__pycache__/six.pyc",
    "/srv/.env",
    "/srv/a.ini",
    "/srv/a.json",
    "/srv/a.toml",
    "/srv/a\nb\udcff",
    "/var/log/shop.log",
    "/run/shop.sock",
]
TEXTS = [
    b"",
    b"x",
    b"a=1\n",
    b"a=2\nb=1\n",
    b"[s]\na=1\n",
    b'{"a": 1}',
    b'{"a": {"b": []}}\n',
    b"root:x:0:0:r:/:/bin/sh\n",
    b"root:x:0:1:r:/:/bin/sh\nana:!:1:1::/:\n",
    b"* * * * * root x\n",
    b"Package: shop\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n",
    b"Package: shop\nStatus: install ok installed\nArchitecture: all\nVersion: 2\n\n",
    b"/usr/bin/shop\n/etc/passwd\n",
    b"9dd4e461268c8034f5c8564e155c67a6  usr/bin/shop\n",
    b"six.py,,\n../../../../../../etc/passwd,,\nsix-1.dist-info/RECORD,,\n",
    b"Name: six\nVersion: 1\n",
    b"\0\xff\r\n",
]
ENTRIES: st.SearchStrategy[Entry] = st.one_of(
    st.sampled_from(TEXTS),
    st.binary(max_size=40),
    st.sampled_from([DIR, DIR._replace(mode=0o700), link("/dev/null"), link("/lib/systemd/system/shop.service")]),
    st.sampled_from([State("socket", 0o755, 0, 0), State("fifo", 0o644, 0, 0), State("char", 0o6, 0, 0, rdev=(1, 3))]),
    st.sampled_from(TEXTS).map(lambda text: (text, regular(text, mode=0o4755, mtime_ns=5))),
    st.sampled_from(TEXTS).map(lambda text: (text, regular(text, mtime_ns=7))),
)
REWRITTEN = st.sampled_from(TEXTS).map(lambda text: (text, (text, regular(text, mtime_ns=9))))
CHANGES = st.dictionaries(
    st.sampled_from(PATHS), st.one_of(REWRITTEN, st.tuples(st.none() | ENTRIES, st.none() | ENTRIES)), max_size=12
)
REQUESTS = st.lists(
    st.builds(ServiceRequest, st.sampled_from(["start", "stop"]), st.sampled_from(["", "shop.service"]))
)


def view_of(
    changes: Mapping[str, tuple[Entry | None, Entry | None]], requests: Sequence[ServiceRequest] = ()
) -> TreeView:
    """The view of two trees that differ in just these paths."""
    sides = [{path: pair[i] for path, pair in changes.items()} for i in (0, 1)]
    trees = [{path: entry for path, entry in side.items() if entry is not None} for side in sides]
    return TreeView(trees[0], trees[1], requests=tuple(requests))


@given(changes=CHANGES, requests=REQUESTS)
def test_law_2_every_path_is_accounted_for(
    changes: dict[str, tuple[Entry | None, Entry | None]], requests: list[ServiceRequest]
) -> None:
    """Effects and noise together are exactly the raw paths; a path is noise once, or in effects, never both."""
    view = view_of(changes, requests)
    meaning = accounted(view)
    files = [effect.subject for effect in meaning.effects if effect.kind == "file"]
    assert len(files) == len(set(files))
    for lens in lenses():
        claims = lens.claim(view.raw, view)
        told = {path for effect in claims.effects for path in effect.paths}
        assert claims.explained <= told <= set(view.raw)


@given(changes=CHANGES)
def test_equal_trees_have_equal_digests_whatever_the_order(
    changes: dict[str, tuple[Entry | None, Entry | None]],
) -> None:
    """A digest names an effect set: it must not depend on how the paths happened to be listed."""
    one, other = accounted(view_of(changes)), accounted(view_of(dict(reversed(changes.items()))))
    assert digest(one.effects) == digest(other.effects) == digest(reversed(one.effects))


@given(before=st.sampled_from(TEXTS), after=st.one_of(st.sampled_from(TEXTS), st.binary(max_size=60)))
def test_an_explained_file_projects_to_what_it_is_after(before: bytes, after: bytes) -> None:
    """A shared file is explained only when its effects, applied to the content before, give the content after."""
    for path in PATHS:
        view = TreeView({path: before}, {path: after})
        for lens in lenses():
            claims = lens.claim(view.raw, view)
            raw_path = next(iter(claims.explained), None)
            subjects = [effect.subject for effect in claims.effects]
            projected = None if raw_path is None else lens.project(raw_path, before, after, subjects)
            assert projected in (None, after)


@given(before=st.one_of(st.sampled_from(TEXTS), st.binary(max_size=60)), after=st.sampled_from(TEXTS))
def test_a_file_with_none_of_its_effects_is_as_it_was(before: bytes, after: bytes) -> None:
    """`split` leaves the other effects out: not a byte of theirs may stay, a last newline included."""
    for path in PATHS:
        projected = [lens.project(path_of(path), before, after, []) for lens in lenses()]
        assert [content for content in projected if content not in (None, before)] == []


TOY = '''
"""A lens for *.toy files."""
from backout.lens.view import Claims
from backout.model.effect import Effect

RANK = 65


def claim(raw, view):
    """Claim every toy."""
    toys = [path for path in raw if path.endswith(b".toy")]
    effects = tuple(Effect("toy", path.decode(), "edited", None, None, paths=(path,)) for path in toys)
    return Claims(effects, frozenset(toys))


def project(path, before, after, subjects):
    """Share nothing."""
'''


def test_a_lens_is_found_by_lying_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new kind of meaning is one new file: no list to add it to, and every path stays accounted for."""
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.setattr(backout.lens, "__path__", [*backout.lens.__path__, str(tmp_path)])
    try:
        view = TreeView({"/srv/x.toy": b"1", "/srv/y": b"1"}, {"/srv/x.toy": b"2", "/srv/y": b"2"})
        assert set(named(accounted(view))) == {"toy:/srv/x.toy", "file:/srv/y"}
        ranks = [lens.RANK for lens in lenses()]
        assert ranks == sorted(ranks)
        assert 65 in ranks
    finally:
        sys.modules.pop("backout.lens.toy", None)


def test_the_lenses_come_in_the_designs_order() -> None:
    """A path goes to the first that explains it; another order would be another report."""
    names = [lens.__name__.rpartition(".")[2] for lens in lenses()]
    assert names == ["service", "debian_package", "python_package", "user", "group", "cron", "config"]
