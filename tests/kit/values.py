"""Values of the model as tests need them: effects in a few words, and strategies for states and steps.

It runs on Python 3.9, too, as what it makes does.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from backout.model.effect import Effect
from backout.model.state import State
from backout.model.step import Meta, Service, Step, Switch, Write

NAMES = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name)
"""Names as Linux allows them, UTF-8 or not."""
PATHS = st.lists(NAMES.filter(lambda name: b"/" not in name and name not in (b".", b"..")), min_size=1, max_size=3).map(
    lambda names: b"".join(b"/" + name for name in names)
)
MODES = st.integers(0, 0o7777)
IDS = st.integers(0, 2**32 - 2)
TIMES_NS = st.integers(0, 2**63 - 1)
XATTRS = st.dictionaries(NAMES, st.binary(max_size=8), max_size=3).map(lambda found: tuple(sorted(found.items())))
HASHES = st.sampled_from(["aa" * 32, "bb" * 32])
FILE = "file:/srv/shop/gunicorn.conf.py"


def effect(name: str = FILE, **fields: Any) -> Effect:
    """An edited thing, named as a selector names it: `kind:subject`."""
    kind, _, subject = name.partition(":")
    return Effect(kind, subject, **{"op": "edited", "before": "1", "after": "2", **fields})


def states() -> st.SearchStrategy[State]:
    """Any path's state, of each type that Linux has."""
    common = {"mode": MODES, "uid": IDS, "gid": IDS, "xattrs": XATTRS, "mtime_ns": TIMES_NS}
    without = {"size": st.just(0), "sha256": st.none(), "target": st.none(), "rdev": st.none(), **common}
    numbers = st.tuples(st.integers(0, 4095), st.integers(0, 2**20))
    of_files = {**without, "size": st.integers(0, 2**50), "sha256": HASHES}
    plain = st.builds(State, type=st.sampled_from(["dir", "fifo", "socket"]), **without)
    regular = st.builds(State, type=st.just("file"), **of_files)
    link = st.builds(State, type=st.just("symlink"), **{**without, "target": NAMES})
    device = st.builds(State, type=st.sampled_from(["char", "block"]), **{**without, "rdev": numbers})
    return st.one_of(plain, regular, link, device)


def steps() -> st.SearchStrategy[Step]:
    """Any step of a plan."""
    state, maybe, inode = states(), st.none() | states(), st.none() | st.integers(1, 2**63)
    switch = st.builds(Switch, path=PATHS, staged=PATHS, expect=maybe, want=maybe, expect_inode=inode, want_inode=inode)
    write = st.builds(Write, path=PATHS, before_copy=PATHS, after_copy=PATHS, expect=state, want=state)
    known = st.fixed_dictionaries({"enabled": st.none() | st.booleans(), "active": st.none() | st.booleans()})
    requests = st.lists(st.sampled_from(["start", "stop", "restart", "reload"]), max_size=3).map(tuple)
    service = st.builds(
        Service, unit=st.just("shop.service"), requests=requests, expect=known, want=known, undoing=st.booleans()
    )
    return st.one_of(switch, write, st.builds(Meta, path=PATHS, expect=state, want=state), service)
