"""Atoms: what of a change can be there or not, each by itself; together they are the whole change (law 2)."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from backout.model.atoms import AFTER, BEFORE, NOISE, PARTED, Atom, Composing, cut
from backout.model.effect import Effect, RawEffect, file_effect
from backout.model.state import State

FILE = State("file", 0o644, 0, 0, 1, "aa")
OTHER = FILE._replace(sha256="bb")
FOLDER = State("dir", 0o755, 0, 0)
LINK = State("symlink", 0o777, 0, 0, target=b"x")


def raw(**paths: tuple[State | None, State | None]) -> dict[bytes, RawEffect]:
    """Give raw effects by path; `_` stands for a slash."""
    named = {name.replace("_", "/").encode(): sides for name, sides in paths.items()}
    return {path: RawEffect(path, before, after) for path, (before, after) in named.items()}


def files(found: dict[bytes, RawEffect], *left: bytes) -> list[Effect]:
    """Give a file effect for every path that is not left to noise."""
    return [file_effect(effect) for path, effect in sorted(found.items()) if path not in left]


def subjects(atoms: tuple[Atom, ...]) -> dict[str, list[str]]:
    """Give the paths of atoms by subject."""
    return {atom.subject: [os.fsdecode(path) for path in atom.paths] for atom in atoms}


def test_a_package_is_one_atom_with_all_its_paths_and_noise_is_the_last() -> None:
    """The guilty part is told in a person's words: a package, not one of its files."""
    found = raw(_a_x=(FILE, OTHER), _a_y=(FILE, OTHER), _c=(FILE, OTHER), _log=(FILE, OTHER))
    effects = [
        file_effect(found[b"/c"]),
        Effect("python-package", "/v:six", "edited", "1", "2", paths=(b"/a/x", b"/a/y")),
        Effect("service", "shop.service", "requested", {}, {}),
    ]
    atoms = cut(effects, [b"/log"], found)
    assert [(a.kind, a.subject, a.before, a.after, a.effects) for a in atoms] == [
        ("file", "/c", FILE.document(), OTHER.document(), (0,)),
        ("python-package", "/v:six", "1", "2", (1,)),
        ("service", "shop.service", {}, {}, (2,)),
        (NOISE, "", None, None, ()),
    ]
    assert [atom.document()["paths"] for atom in atoms] == [1, 2, 0, 1]


def test_effects_that_share_a_file_are_one_where_it_cannot_be_parted() -> None:
    """Half a file is no file."""
    found = raw(_etc_a=(FILE, OTHER), _etc_b=(FILE, OTHER))
    keys = [
        Effect("config", f"/etc/{name}", "edited", 1, 2, paths=(f"/etc/{name[0]}".encode(),))
        for name in ("a#x", "b#x", "a#y")
    ]
    assert [atom.effects for atom in cut(keys, [], found)] == [(0, 2), (1,)]
    assert [atom.effects for atom in cut(keys, [], found, parted=[b"/etc/a"])] == [(0,), (1,), (2,)]


def test_a_new_folder_is_with_everything_in_it_and_a_folder_that_goes_too() -> None:
    """Nobody asks whether an empty folder is guilty; and no file is without the folder that it lies in."""
    found = raw(
        _new=(None, FOLDER), _new_deep=(None, FOLDER), _new_deep_a=(None, FILE), _new_b=(None, FILE),
        _old=(FOLDER, None), _old_c=(FILE, None), _empty=(None, FOLDER), _mode=(FOLDER, FOLDER._replace(mode=0o700)),
        _mode_d=(None, FILE),
    )  # fmt: skip
    assert subjects(cut(files(found), [], found)) == {
        "/empty": ["/empty"],
        "/mode": ["/mode"],
        "/mode/d": ["/mode/d"],
        "/new/b": ["/new", "/new/b"],
        "/new/deep/a": ["/new", "/new/deep", "/new/deep/a"],
        "/old/c": ["/old", "/old/c"],
    }


def test_a_folder_that_becomes_something_else_is_one_with_what_was_in_it() -> None:
    """There cannot be a file where things lie in."""
    found = raw(_d=(FOLDER, LINK), _d_a=(FILE, None), _d_b=(FILE, None), _e=(FILE, OTHER))
    assert subjects(cut(files(found), [], found)) == {"/d": ["/d", "/d/a", "/d/b"], "/e": ["/e"]}


def test_names_of_one_file_go_together() -> None:
    """A new name of a file shows what is in that file: were it chosen alone, it would show something else."""
    found = raw(_a=(FILE, OTHER), _b=(None, OTHER), _c=(None, FILE))
    assert subjects(cut(files(found), [], found, tied=[(b"/b", b"/a"), (b"/c", b"/nowhere")])) == {
        "/a": ["/a", "/b"],
        "/c": ["/c"],
    }


def sides(
    found: dict[bytes, RawEffect], effects: list[Effect], *chosen: str, parted: tuple[bytes, ...] = ()
) -> dict[str, str]:
    """Tell the sides with only the atoms of these subjects there; the noise is what has no effect."""
    atoms = cut(effects, [], found, parted)
    there = {number for number, atom in enumerate(atoms) if atom.subject in chosen}
    return {os.fsdecode(path): side for path, side in Composing(atoms, found).sides(there).items()}


def test_a_folder_goes_only_when_all_that_is_told_of_in_it_goes_and_takes_its_noise_along() -> None:
    """A folder of byte code alone would be imported as an empty package where the package was taken away."""
    found = raw(
        _p=(FOLDER, None), _p_a=(FILE, None), _p_b=(FILE, None), _p_cache=(FOLDER, None), _p_cache_c=(FILE, None),
    )  # fmt: skip
    effects = files(found, b"/p/cache", b"/p/cache/c")
    assert sides(found, effects, "/p/a") == {
        "/p": BEFORE, "/p/a": AFTER, "/p/b": BEFORE, "/p/cache": BEFORE, "/p/cache/c": BEFORE,
    }  # fmt: skip
    assert set(sides(found, effects, "/p/a", "/p/b").values()) == {AFTER}


def test_noise_is_only_in_folders_that_are_there() -> None:
    """Byte code of a package that is not chosen would make its folder, and that a package."""
    found = raw(_p=(None, FOLDER), _p_a=(None, FILE), _p_c=(None, FILE), _q=(FILE, OTHER))
    effects = files(found, b"/p/c", b"/q")
    assert sides(found, effects, "") == {"/p": BEFORE, "/p/a": BEFORE, "/p/c": BEFORE, "/q": AFTER}
    assert sides(found, effects, "", "/p/a")["/p/c"] == AFTER


def test_a_file_with_some_of_its_effects_is_in_between() -> None:
    """It is then written by the lens that can part it."""
    found = raw(_etc_a=(FILE, OTHER))
    keys = [Effect("config", f"/etc/a#{key}", "edited", 1, 2, paths=(b"/etc/a",)) for key in "xy"]
    assert sides(found, keys, "/etc/a#x", parted=(b"/etc/a",)) == {"/etc/a": PARTED}
    assert sides(found, keys, "/etc/a#x", "/etc/a#y", parted=(b"/etc/a",)) == {"/etc/a": AFTER}
    assert sides(found, keys, parted=(b"/etc/a",)) == {"/etc/a": BEFORE}


NAMES = st.sampled_from([b"a", b"b", b"a-b", b"c\xff"])
STATES = st.sampled_from([None, FILE, OTHER, FOLDER, FOLDER._replace(mode=0o700), LINK])


@st.composite
def changes(draw: st.DrawFn) -> tuple[dict[bytes, RawEffect], list[Effect], set[bytes]]:
    """Draw two trees, what differs between them, and how that is told: effects of some paths each, and noise."""
    paths = {b"/" + b"/".join(names) for names in draw(st.lists(st.lists(NAMES, min_size=1, max_size=3), max_size=12))}
    paths |= {path[:at] for path in paths for at in range(1, len(path)) if path[at : at + 1] == b"/"}
    trees: list[dict[bytes, State]] = [{}, {}]
    for path in sorted(paths):
        folder = path.rpartition(b"/")[0]
        for tree in trees:
            state = draw(STATES)
            if state is not None and (not folder or (folder in tree and tree[folder].type == "dir")):
                tree[path] = state
    found = {
        path: RawEffect(path, trees[0].get(path), trees[1].get(path))
        for path in sorted(paths)
        if trees[0].get(path) != trees[1].get(path)
    }
    told = (
        draw(st.lists(st.lists(st.sampled_from(sorted(found)), min_size=1, max_size=4, unique=True), max_size=8))
        if found
        else []
    )
    effects = [Effect("python-package", str(n), "edited", 1, 2, paths=tuple(claimed)) for n, claimed in enumerate(told)]
    alone = draw(st.sets(st.sampled_from(sorted(found)))) if found else set()
    claimed = {path for effect in effects for path in effect.paths}
    effects += [file_effect(found[path]) for path in sorted(alone - claimed)]
    return found, effects, set(found) - alone - claimed


@given(changes(), st.data())
def test_atoms_are_the_whole_change_and_any_of_them_make_a_tree(
    change: tuple[dict[bytes, RawEffect], list[Effect], set[bytes]], data: st.DataObject
) -> None:
    """Law 2: nothing is in none. All make the tree after, none the tree before, and some make one that can be."""
    found, effects, noise = change
    parted = data.draw(st.sets(st.sampled_from(sorted(found)))) if found else set()
    atoms = cut(effects, noise, found, parted)
    assert {path for atom in atoms for path in atom.paths} == set(found)
    assert sorted({number for atom in atoms for number in atom.effects}) == list(range(len(effects)))
    assert [atom.kind for atom in atoms].count(NOISE) == bool(noise)
    composing = Composing(atoms, found)
    assert set(composing.sides(range(len(atoms))).values()) <= {AFTER}
    assert set(composing.sides(()).values()) <= {BEFORE}
    chosen = data.draw(st.sets(st.integers(0, max(len(atoms) - 1, 0))))
    some = composing.sides(chosen)
    assert set(some) == set(found)
    shown = {path: found[path].before if side == BEFORE else found[path].after for path, side in some.items()}
    for path, state in shown.items():
        folder = path.rpartition(b"/")[0]
        if state is not None and folder in shown:
            above = shown[folder]
            assert above is not None, (path, some)
            assert above.type == "dir", (path, some)
