"""Users and groups: told by their fields, and never by a hash."""

from __future__ import annotations

import json

import pytest

from backout.lens import group, user
from kit.trees import TreeView, accounted, named, regular

PASSWD, SHADOW, GROUP, GSHADOW, SUBUID = "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/subuid"
ROOT = {
    PASSWD: b"root:x:0:0:root:/root:/bin/bash\n",
    SHADOW: b"root:$6$salt$secrethash:19000:0:99999:7:::\n",
    GROUP: b"root:x:0:\nadm:x:4:ana\n",
    GSHADOW: b"root:*::\nadm:!::ana\n",
}


def test_a_new_user_is_one_effect_and_its_group_another() -> None:
    """Useradd touches up to six files; what a person asked for is one user."""
    after = {
        PASSWD: ROOT[PASSWD] + b"deploy:x:1000:1000:Deploy:/srv:/bin/sh\n",
        SHADOW: ROOT[SHADOW] + b"deploy:!:20000:0:99999:7:::\n",
        GROUP: ROOT[GROUP] + b"deploy:x:1000:\n",
        GSHADOW: ROOT[GSHADOW] + b"deploy:!::\n",
        SUBUID: b"deploy:100000:65536\n",
        PASSWD + "-": ROOT[PASSWD],
    }
    meaning = accounted(TreeView({**ROOT, SUBUID: b""}, after))
    assert named(meaning) == {
        "user:deploy": (
            "added",
            None,
            {
                "uid": 1000,
                "gid": 1000,
                "gecos": "Deploy",
                "home": "/srv",
                "shell": "/bin/sh",
                "password": "locked",
                "ageing": "0:99999:7:::",
                "subuid": ["100000:65536"],
            },
        ),
        "group:deploy": ("added", None, {"gid": 1000, "members": [], "password": "locked", "administrators": []}),
    }
    assert [row.rule for row in meaning.noise] == ["account-backups"]


def test_a_changed_password_is_told_without_any_of_it() -> None:
    """A report goes to a terminal, a journal, a colleague's mail."""
    after = {**ROOT, SHADOW: b"root:$6$other$anotherhash:20000:0:99999:7:::\n"}
    meaning = accounted(TreeView(ROOT, after))
    assert named(meaning)["user:root"][2]["password"] == "set anew"  # type: ignore[index]
    text = json.dumps([effect.document() for effect in meaning.effects])
    assert "hash" not in text
    assert "salt" not in text


def test_locking_and_unlocking_are_told_apart() -> None:
    """`passwd -l` keeps the hash behind a !."""
    after = {**ROOT, SHADOW: b"root:!$6$salt$secrethash:19000:0:99999:7:::\n"}
    before, now = named(accounted(TreeView(ROOT, after)))["user:root"][1:]
    assert (before["password"], now["password"]) == ("set", "locked")  # type: ignore[index]


def test_the_day_of_a_change_is_no_part_of_the_content() -> None:
    """Two rehearsals around midnight must agree."""
    trees = [{**ROOT, SHADOW: b"root:*:%d:0:99999:7:::\n" % day} for day in (20000, 20001)]
    assert len({accounted(TreeView(ROOT, tree)).effects[0].content for tree in trees}) == 1


def test_another_hash_is_another_content() -> None:
    """What was rehearsed is what is applied, also where it is not shown."""
    trees = [{**ROOT, SHADOW: b"root:$6$%s:19000:0:99999:7:::\n" % word} for word in (b"a", b"b")]
    assert len({accounted(TreeView(ROOT, tree)).effects[0].content for tree in trees}) == 2


def test_a_file_with_more_than_records_changed_stays_a_file_too() -> None:
    """An added comment, another order, another mode: nothing may be left unsaid."""
    added = ROOT[PASSWD] + b"a:x:1:1::/:/bin/sh\n"
    for passwd in (added + b"# hello\n", (added, regular(added, mode=0o666)), b"a:x:1:1::/:/bin/sh\n\n" + ROOT[PASSWD]):
        assert set(named(accounted(TreeView(ROOT, {**ROOT, PASSWD: passwd})))) == {"user:a", "file:/etc/passwd"}


def test_a_shadow_file_that_stays_a_file_has_no_diff() -> None:
    """The diff would be the hashes."""
    after = {**ROOT, SHADOW: ROOT[SHADOW] + b"# root:$6$salt$secrethash\n"}
    meaning = accounted(TreeView(ROOT, after))
    assert [effect.diff for effect in meaning.effects] == [None]


def test_files_written_anew_with_the_same_bytes_are_noise() -> None:
    """Usermod rewrites passwd and shadow even where it only changes a group."""
    meaning = accounted(TreeView(ROOT, {p: (text, regular(text, mtime_ns=1)) for p, text in ROOT.items()}))
    assert meaning.effects == ()
    assert {row.rule for row in meaning.noise} == {"mtime-only"}


def test_a_member_added_to_a_group_is_an_edit_of_the_group() -> None:
    """`adduser ana docker` gives her root; it must be plain to see."""
    after = {**ROOT, GROUP: b"root:x:0:\nadm:x:4:ana,bob\n", GSHADOW: b"root:*::\nadm:!::ana,bob\n"}
    op, before, now = named(accounted(TreeView(ROOT, after)))["group:adm"]
    assert (op, before["members"], now["members"]) == ("edited", ["ana"], ["ana", "bob"])  # type: ignore[index]


@pytest.mark.parametrize(
    "content", [b"", b"\0\xff", b"root:x\n", b"root:x:0\nroot:x:0\n", b":" * 10_000, b"\n\n+::::::\n"]
)
@pytest.mark.parametrize("path", [PASSWD, SHADOW, GROUP, GSHADOW, SUBUID])
def test_a_broken_account_file_breaks_nothing(path: str, content: bytes) -> None:
    """It stays accounted for, as what it is: a file."""
    accounted(TreeView(ROOT, {**ROOT, path: content}))
    accounted(TreeView({**ROOT, path: content}, ROOT))


def test_passwd_with_only_some_users_keeps_all_else() -> None:
    """`split` tries a part of a change."""
    before = b"# head\nroot:x:0:0::/:\nold:x:1:1::/:\nend:x:9:9::/:\n"
    after = b"# head\nroot:x:0:0::/:/bin/sh\nnew:x:2:2::/:\nend:x:9:9::/:\n"
    assert user.project(b"/etc/passwd", before, after, ["new"]) == (
        b"# head\nroot:x:0:0::/:\nnew:x:2:2::/:\nold:x:1:1::/:\nend:x:9:9::/:\n"
    )
    assert user.project(b"/etc/passwd", before, after, ["root", "old", "new"]) == after
    assert user.project(b"/etc/passwd", before, after, []) == before
    assert user.project(b"/etc/subuid", b"", b"a:1:2\na:3:4\nb:5:6\n", ["a"]) == b"a:1:2\na:3:4\n"
    assert user.project(b"/etc/hosts", before, after, ["new"]) is None
    assert group.project(b"/etc/group", b"a:x:1:\n", b"a:x:1:b\nc:x:2:\n", ["c"]) == b"a:x:1:\nc:x:2:\n"
