"""A file that effects share with only some of them in it, by the lens that knows it."""

from __future__ import annotations

import itertools

import pytest

from backout.lens.meaning import part
from backout.model.effect import Effect

STANZA = b"Package: %s\nStatus: install ok installed\nVersion: %d\nArchitecture: amd64\n"
STATUS = [STANZA % (name, 1) for name in (b"dpkg", b"a", b"b")]
FILES = {
    b"/srv/app.ini": (
        b"[s]\na = 1\nb = 1\n",
        b"[s]\na = 2\nb = 2\n",
        "config",
        ("/srv/app.ini#s.a", "/srv/app.ini#s.b"),
    ),
    b"/etc/passwd": (
        b"root:x:0:0::/:/bin/sh\n",
        b"root:x:0:0::/:/bin/sh\na:x:1:1::/:/bin/sh\nb:x:2:2::/:/bin/sh\n",
        "user",
        ("a", "b"),
    ),
    b"/var/lib/dpkg/status": (
        b"\n".join(STATUS),
        b"\n".join([STATUS[0], *(STANZA % (name, 2) for name in (b"a", b"b"))]),
        "debian-package",
        ("a", "b"),
    ),
    b"/var/lib/dpkg/triggers/ldconfig": (b"c\n", b"a\nb/noawait\nc\n", "debian-package", ("a", "b")),
}


@pytest.mark.parametrize("path", sorted(FILES))
def test_a_file_is_parted_by_its_effects(path: bytes) -> None:
    """Law 2 for split: with all of them it is the file after, with none the one before, with one neither."""
    before, after, kind, subjects = FILES[path]
    effects = [Effect(kind, subject, "edited", 1, 2, paths=(path,)) for subject in subjects]
    contents = {
        chosen: part(path, before, after, effects, list(chosen))
        for count in range(3)
        for chosen in itertools.combinations(effects, count)
    }
    assert contents[()] == before
    assert contents[tuple(effects)] == after
    assert len(set(contents.values())) == 4


def test_what_no_lens_explains_of_a_shared_file_is_one_effect_more() -> None:
    """With it alone, all that is explained is taken out of the file after."""
    path = b"/etc/passwd"
    before, after = b"root:x:0:0::/:/bin/sh\n", b"#\nroot:x:0:0::/:/bin/sh\na:x:1:1::/:/bin/sh\n"
    effects = [Effect("user", "a", "added", None, {}, paths=(path,)), Effect("file", "/etc/passwd", "edited", {}, {})]
    assert part(path, before, after, effects, effects[1:]) == b"#\nroot:x:0:0::/:/bin/sh\n"
    assert part(path, before, after, effects, effects[:1]) == b"root:x:0:0::/:/bin/sh\na:x:1:1::/:/bin/sh\n"
    assert part(path, before, after, effects, effects) == after


def test_what_no_one_lens_knows_cannot_be_parted() -> None:
    """Then its effects are one atom."""
    effects = [Effect("python-package", name, "edited", 1, 2) for name in "ab"]
    assert part(b"/srv/x", b"1", b"2", effects, effects) is None
    assert part(b"/srv/x", b"1", b"2", [Effect("user", "a", "edited", 1, 2), effects[0]], effects[:1]) is None
    assert part(b"/srv/x", b"1", b"2", [Effect("view", "a", "edited", 1, 2)], []) is None
