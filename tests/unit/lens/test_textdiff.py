"""Diffs for people: what changed, masked, and never too long."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from backout.lens.textdiff import LARGEST_BYTES, LONGEST_LINES, text_diff
from kit.trees import TreeView, accounted


def test_a_diff_is_unified() -> None:
    """The form that everybody reads."""
    before = b"".join(b"%d\n" % n for n in range(1, 21))
    assert text_diff(before, before.replace(b"10\n", b"ten\n"), b"/srv/x") == (
        "--- /srv/x\n+++ /srv/x\n@@ -7,7 +7,7 @@\n 7\n 8\n 9\n-10\n+ten\n 11\n 12\n 13\n"
    )


def test_changes_far_apart_have_headings_of_their_own() -> None:
    """Everything between them is as it was."""
    before = b"".join(b"%d\n" % n for n in range(100))
    diff = text_diff(before, before.replace(b"\n10\n", b"\nx\n").replace(b"\n90\n", b"\ny\n"), b"/x")
    assert str(diff).count("@@ -") == 2


def test_a_new_file_is_all_added() -> None:
    """Its content is the effect."""
    assert text_diff(None, b"a\nb\n", b"/x") == "--- /dev/null\n+++ /x\n@@ -0,0 +1,2 @@\n+a\n+b\n"


CONTENTS = [b"a", b"a\n", b"a\nb", b"a\nb\n", b"b", b"\n", b"x\n" * 9 + b"a", b"x\n" * 9 + b"a\n"]


@pytest.mark.parametrize(("before", "after"), [(x, y) for x in CONTENTS for y in CONTENTS if x != y])
def test_a_diff_can_be_given_to_patch(before: bytes, after: bytes, tmp_path: Path) -> None:
    """A last line without an end is no line more: a diff that miscounts is one that `patch` refuses."""
    (tmp_path / "x").write_bytes(before)
    diff = text_diff(before, after, b"x")
    subprocess.run(["patch", "-s", "-F0", "x"], input=str(diff).encode(), cwd=tmp_path, check=True)
    assert (tmp_path / "x").read_bytes() == after


def test_a_line_without_an_end_is_told_of_without_a_sign() -> None:
    """As `diff -u` prints it."""
    assert text_diff(None, b"a", b"/x") == "--- /dev/null\n+++ /x\n@@ -0,0 +1,1 @@\n+a\n\\ No newline at end of file\n"
    assert "-a\n\\ No newline at end of file\n+a\n" in str(text_diff(b"a", b"a\n", b"/x"))


@pytest.mark.parametrize(
    ("path", "shown"), [(b"/a\nb", r'"/a\012b"'), (b'/"\\\xff', r'"/\042\134\377"'), ("/é b".encode(), "/é b")]
)
def test_a_header_names_any_path_on_one_line(path: bytes, shown: str) -> None:
    """A newline in a name must not end the header, nor make up lines of the diff."""
    assert str(text_diff(b"a\n", b"b\n", path)).splitlines()[:2] == [f"--- {shown}", f"+++ {shown}"]


def test_a_changed_secret_is_seen_to_have_changed_and_not_seen() -> None:
    """Masking both sides before comparing would hide that anything happened."""
    diff = str(text_diff(b"password = one\n", b"password = two\n", b"/srv/x.yaml"))
    assert "-password" in diff
    assert "+password" in diff
    assert "one" not in diff
    assert "two" not in diff


def test_no_line_of_a_private_key_is_shown_even_where_its_heading_is_far_above() -> None:
    """Context shows three lines; the line that says what follows is further up."""
    body = [b"line%02d" % n for n in range(30)]
    before = b"\n".join([b"-----BEGIN PRIVATE KEY-----", *body, b"-----END PRIVATE KEY-----", b""])
    assert "line" not in str(text_diff(before, before.replace(b"line20", b"lineXX"), b"/srv/pem.txt"))


@pytest.mark.parametrize(
    "path",
    [b"/etc/shadow", b"/etc/gshadow-", b"/root/.ssh/id_ed25519", b"/root/.netrc", b"/srv/secret.txt", b"/x/a.key"],
)
def test_a_file_of_nothing_but_secrets_has_no_diff(path: bytes) -> None:
    """A hash or a token alone on its line does not look like a secret."""
    assert text_diff(b"a\n", b"b\n", path) is None


@pytest.mark.parametrize("content", [b"\0", b"\xff\xfe", b"x" * (LARGEST_BYTES + 1)])
def test_what_is_no_text_or_too_large_has_no_diff(content: bytes) -> None:
    """Its hash is told instead."""
    assert text_diff(b"a\n", content, b"/x") is None


def test_a_long_diff_is_cut_and_says_how_much_is_missing() -> None:
    """Counted, never hidden; also where two contents have nothing in common, quickly."""
    before, after = (b"".join(b"%s%d\n" % (word, n) for n in range(40_000)) for word in (b"a", b"b"))
    lines = str(text_diff(before, after, b"/x")).splitlines()
    assert len(lines) == 2 + LONGEST_LINES + 1
    assert lines[-1] == f"… {80_001 - LONGEST_LINES} more lines"


def test_a_file_effect_of_a_text_has_its_diff() -> None:
    """What changed in gunicorn.conf.py is what the person at the terminal decides on."""
    path = "/srv/shop/gunicorn.conf.py"
    (effect,) = accounted(TreeView({path: b"workers = 1\n"}, {path: b"workers = 2\n"})).effects
    assert "-workers = 1\n+workers = 2\n" in str(effect.diff)
