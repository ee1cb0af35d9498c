"""Debian packages: told stanza by stanza, claimed by MD5."""

from __future__ import annotations

import hashlib

import pytest

from backout.lens import debian_package
from kit.trees import DIR, Entry, TreeView, accounted, link, named, regular

STATUS, EXTENDED, INFO = "/var/lib/dpkg/status", "/var/lib/apt/extended_states", "/var/lib/dpkg/info/"
DPKG = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21\n\n"


def stanza(name: str, version: str, status: str = "install ok installed", arch: str = "amd64", rest: str = "") -> str:
    """A package's stanza in the status file."""
    return (
        f"Package: {name}\nStatus: {status}\nArchitecture: {arch}\nVersion: {version}\n{rest}Description: x\n more\n\n"
    )


def database(name: str, files: dict[str, bytes], listed: tuple[str, ...] = ()) -> dict[str, bytes]:
    """What dpkg keeps of a package's files."""
    sums = "".join(f"{hashlib.md5(content).hexdigest()}  {path[1:]}\n" for path, content in files.items())
    paths = "".join(f"{path}\n" for path in ("/.", *listed, *files))
    return {INFO + name + ".list": paths.encode(), INFO + name + ".md5sums": sums.encode()}


def host(*stanzas: str) -> dict[str, bytes]:
    """A host with dpkg and these packages in the status file."""
    return {STATUS: (DPKG + "".join(stanzas)).encode()}


def test_an_upgrade_with_its_files_is_one_effect() -> None:
    """Status, lists, hashes, scripts, files, folders and links: one line of the report."""
    old, new = {"/usr/bin/shop": b"1", "/usr/lib/x": b"x"}, {"/usr/bin/shop": b"2"}
    before: dict[str, Entry] = {**host(stanza("shop", "1")), **database("shop", old), **old}
    after: dict[str, Entry] = {
        **host(stanza("shop", "2")),
        **database("shop", new, ("/usr/share/shop", "/usr/share/shop/link")),
        **new,
        INFO + "shop.postinst": b"#!/bin/sh\n",
        "/usr/share/shop": DIR,
        "/usr/share/shop/link": link("x"),
    }
    view = TreeView(before, after)
    meaning = accounted(view)
    assert named(meaning) == {"debian-package:shop": ("edited", "1", "2")}
    assert set(meaning.effects[0].paths) == set(view.raw)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ([], [stanza("shop", "1")], ("shop", "added", None, "1")),
        ([stanza("shop", "1")], [], ("shop", "removed", "1", None)),
        (
            [stanza("shop", "1")],
            [stanza("shop", "1", "deinstall ok config-files")],
            ("shop", "removed", "1", "1 (config-files)"),
        ),
        (
            [stanza("shop", "1", "deinstall ok config-files")],
            [stanza("shop", "2")],
            ("shop", "added", "1 (config-files)", "2"),
        ),
        (
            [stanza("shop", "1")],
            [stanza("shop", "2", "install ok half-configured")],
            ("shop", "edited", "1", "2 (half-configured)"),
        ),
        ([stanza("shop", "1")], [stanza("shop", "1", "hold ok installed")], ("shop", "edited", "1", "1 (hold)")),
        ([], [stanza("shop", "1", arch="i386")], ("shop:i386", "added", None, "1")),
        ([], [stanza("shop", "1", arch="all")], ("shop", "added", None, "1")),
    ],
)
def test_each_state_of_a_package_is_told(
    before: list[str], after: list[str], told: tuple[str, str, object, object]
) -> None:
    """A half-configured package, a hold, a foreign architecture: each is another state of the host."""
    meaning = accounted(TreeView(host(*before), host(*after)))
    assert [(e.subject, e.op, e.before, e.after) for e in meaning.effects] == [told]


def test_a_file_with_other_bytes_than_the_package_shipped_stays_a_file() -> None:
    """Law 2: an installation must not be a cover."""
    files = {"/usr/bin/shop": b"1", "/usr/bin/other": b"o"}
    after: dict[str, Entry] = {
        **host(stanza("shop", "1")),
        **database("shop", files),
        **files,
        "/usr/bin/shop": b"evil",
    }
    assert set(named(accounted(TreeView(host(), after)))) == {"debian-package:shop", "file:/usr/bin/shop"}


def test_an_edited_configuration_file_that_an_upgrade_replaces_is_told_by_itself() -> None:
    """Somebody's setting is about to be lost."""

    def tree(version: str, shipped: bytes, there: bytes) -> dict[str, bytes]:
        rest = f"Conffiles:\n /etc/shop.conf {hashlib.md5(shipped).hexdigest()}\n"
        lists = {INFO + "shop.list": b"/etc/shop.conf\n"}
        return {**host(stanza("shop", version, rest=rest)), **lists, "/etc/shop.conf": there}

    kept = accounted(TreeView(tree("1", b"a", b"a"), tree("2", b"b", b"b")))
    lost = accounted(TreeView(tree("1", b"a", b"mine"), tree("2", b"b", b"b")))
    assert set(named(kept)) == {"debian-package:shop"}
    assert set(named(lost)) == {"debian-package:shop", "file:/etc/shop.conf"}


def test_a_mode_that_changes_under_an_unchanged_file_is_no_packages_doing() -> None:
    """`apt install x; chmod u+s /usr/bin/x` must show the second half."""
    files = {"/usr/bin/shop": b"1"}
    before: dict[str, Entry] = {**host(stanza("shop", "1")), **database("shop", files), **files}
    after: dict[str, Entry] = {
        **before,
        **host(stanza("shop", "2")),
        "/usr/bin/shop": (b"1", regular(b"1", mode=0o4755)),
    }
    assert set(named(accounted(TreeView(before, after)))) == {"debian-package:shop", "file:/usr/bin/shop"}


def test_a_path_listed_before_the_merge_of_usr_is_found_where_it_is() -> None:
    """Debian 12 lists /lib/systemd/... and writes /usr/lib/systemd/..."""
    lists = database("shop", {"/lib/systemd/system/shop.service": b"[Unit]\n"})
    after: dict[str, Entry] = {
        **host(stanza("shop", "1")),
        **lists,
        "/usr/lib/systemd/system/shop.service": b"[Unit]\n",
    }
    assert set(named(accounted(TreeView(host(), after)))) == {"debian-package:shop"}


def test_a_diverted_path_is_found_where_it_was_diverted_to() -> None:
    """dpkg-divert moves another package's file aside; it is still that package's."""
    diverted = {"/var/lib/dpkg/diversions": b"/usr/bin/shop\n/usr/bin/shop.real\nwrapper\n"}
    files = database("shop", {"/usr/bin/shop": b"1"})
    after: dict[str, Entry] = {**diverted, **host(stanza("shop", "1")), **files, "/usr/bin/shop.real": b"1"}
    assert set(named(accounted(TreeView({**diverted, **host()}, after)))) == {"debian-package:shop"}


def test_marks_and_triggers_go_with_their_packages() -> None:
    """Apt's and dpkg's notes about a package are not worth lines of their own."""
    marks = b"Package: shop\nArchitecture: amd64\nAuto-Installed: 1\n\n"
    after: dict[str, Entry] = {
        **host(stanza("shop", "1")),
        EXTENDED: marks,
        "/var/lib/dpkg/triggers/File": b"/usr/x shop/noawait\n",
    }
    meaning = accounted(TreeView({**host(), "/var/lib/dpkg/triggers/File": b""}, after))
    assert named(meaning) == {"debian-package:shop": ("added", None, "1")}


def test_triggers_in_another_order_go_with_the_packages_of_the_same_run() -> None:
    """Dpkg rewrites the whole file, in an order that means nothing."""
    file = "/var/lib/dpkg/triggers/File"
    after = {**host(stanza("shop", "1")), file: b"/b y\n/a x\n"}
    assert set(named(accounted(TreeView({**host(), file: b"/a x\n/b y\n"}, after)))) == {"debian-package:shop"}
    assert set(named(accounted(TreeView({file: b"/a x\n/b y\n"}, {file: b"/b y\n/a x\n"})))) == {f"file:{file}"}


def test_a_mark_alone_is_an_effect_of_the_package() -> None:
    """A package marked automatic goes with the next autoremove."""

    def mark(value: int) -> dict[str, bytes]:
        return {EXTENDED: b"Package: shop\nArchitecture: amd64\nAuto-Installed: %d\n\n" % value}

    tree = host(stanza("shop", "1"))
    meaning = accounted(TreeView({**tree, **mark(0)}, {**tree, **mark(1)}))
    assert named(meaning) == {"debian-package:shop": ("edited", "1 (manual)", "1 (auto)")}


def test_a_status_file_with_more_than_stanzas_changed_stays_a_file_too() -> None:
    """Something wrote into dpkg's database that was not dpkg."""
    before, after = host(), {STATUS: b"# hello\n\n" + host(stanza("shop", "1"))[STATUS]}
    assert set(named(accounted(TreeView(before, after)))) == {"debian-package:shop", f"file:{STATUS}"}


@pytest.mark.parametrize("listed", [b"/../etc/passwd\n", b"/./etc/passwd\n", b"etc/passwd\n", b"\0\n//etc/passwd\n"])
def test_a_list_that_climbs_claims_nothing(listed: bytes) -> None:
    """A list is a text file that a maintainer script can write."""
    after: dict[str, Entry] = {
        **host(stanza("shop", "1")),
        INFO + "shop.list": listed,
        INFO + "shop.md5sums": hashlib.md5(b"x").hexdigest().encode() + b"  etc/passwd\n",
        "/etc/passwd": b"x",
    }
    assert "file:/etc/passwd" in named(accounted(TreeView(host(), after)))


@pytest.mark.parametrize("content", [b"", b"\0\xff\n\n\n\n", b"Package\n\nPackage:\n\n", (DPKG * 2).encode()])
def test_a_broken_status_file_breaks_nothing(content: bytes) -> None:
    """It stays accounted for, as what it is: a file."""
    accounted(TreeView(host(stanza("shop", "1")), {STATUS: content}))
    accounted(TreeView({STATUS: content}, host(stanza("shop", "1"))))


def test_status_with_only_some_packages_keeps_all_else() -> None:
    """`split` tries a part of a change: the other packages must be as before, byte for byte."""
    before = host(stanza("a", "1"), stanza("gone", "1"))[STATUS]
    after = host(stanza("a", "2"), stanza("new", "1"))[STATUS]

    def project(*subjects: str) -> bytes | None:
        return debian_package.project(STATUS.encode(), before, after, subjects)

    assert project() == before
    assert project("a", "gone", "new") == after
    assert project("new") == host(stanza("a", "1"), stanza("new", "1"), stanza("gone", "1"))[STATUS]
    assert project("gone") == host(stanza("a", "1"))[STATUS]
