"""Python packages: one effect each, claimed by hash, whatever RECORD says."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode

import pytest

from kit.trees import DIR, Entry, TreeView, accounted, link, named, path_of, regular

SITE = "/srv/shop/venv/lib/python3.11/site-packages"


def entry(name: str, content: bytes) -> str:
    """A line of RECORD."""
    digest = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"


def installed(name: str, version: str, files: dict[str, bytes], extra: str = "", site: str = SITE) -> dict[str, Entry]:
    """An installed package, as a tree."""
    info = f"{name}-{version}.dist-info"
    files = {**files, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nText".encode()}
    record = "".join(entry(path, content) for path, content in files.items()) + f"{info}/RECORD,,\n{extra}"
    files[f"{info}/RECORD"] = path_of(record)
    return {f"{site}/{path}": content for path, content in files.items()}


def test_an_upgrade_is_one_effect_with_both_versions() -> None:
    """The story: setuptools moves, and the report says just that."""
    before = installed("setuptools", "65.5.0", {"setuptools/a.py": b"a", "pkg_resources/__init__.py": b"p"})
    after = installed("setuptools", "84.2.1", {"setuptools/a.py": b"A"})
    effects = accounted(TreeView(before, after)).effects
    assert [(e.subject, e.op, e.before, e.after) for e in effects] == [
        ("/srv/shop/venv:setuptools", "edited", "65.5.0", "84.2.1")
    ]


def test_a_name_is_written_as_all_tools_compare_it() -> None:
    """`--expect python-package:zope-interface` must match however the wheel spelled it."""
    view = TreeView({}, installed("Zope.Interface", "1", {"zope/interface.py": b"z"}))
    assert list(named(accounted(view))) == ["python-package:/srv/shop/venv:zope-interface"]


@pytest.mark.parametrize(
    ("site", "prefix"),
    [
        ("/usr/lib/python3/dist-packages", "/usr"),
        ("/usr/local/lib/python3.11/dist-packages", "/usr/local"),
        ("/root/.local/lib/python3.12/site-packages", "/root/.local"),
        ("/srv/v/lib64/python3.9/site-packages", "/srv/v"),
        ("/srv/vendored/site-packages", "/srv/vendored/site-packages"),
        ("/lib/python3/dist-packages", "/"),
    ],
)
def test_the_subject_names_the_prefix(site: str, prefix: str) -> None:
    """Two virtual environments on one host are two places where a package can be wrong."""
    assert list(named(accounted(TreeView({}, installed("six", "1", {"six.py": b"6"}, site=site))))) == [
        f"python-package:{prefix}:six"
    ]


def test_a_file_whose_bytes_are_not_those_of_record_stays_a_file() -> None:
    """Law 2: a package must not be a cover for bytes that it did not ship."""
    after: dict[str, Entry] = {**installed("six", "1", {"six.py": b"6", "other.py": b"o"}), f"{SITE}/six.py": b"evil"}
    assert f"file:{SITE}/six.py" in named(accounted(TreeView({}, after)))


def test_a_hand_patched_file_that_an_upgrade_overwrites_is_told_by_itself() -> None:
    """Someone's hotfix is about to be lost; the version number does not say so."""
    before: dict[str, Entry] = {**installed("six", "1", {"six.py": b"6"}), f"{SITE}/six.py": b"patched"}
    told = named(accounted(TreeView(before, installed("six", "2", {"six.py": b"66"}))))
    assert set(told) == {f"file:{SITE}/six.py", "python-package:/srv/shop/venv:six"}


def test_a_file_of_a_package_that_did_not_change_stays_a_file() -> None:
    """An edit in site-packages is no package's doing."""
    before = installed("six", "1", {"six.py": b"6"})
    assert list(named(accounted(TreeView(before, {**before, f"{SITE}/six.py": b"edited"})))) == [f"file:{SITE}/six.py"]


def test_scripts_and_new_folders_belong_to_the_package_and_byte_code_to_the_noise() -> None:
    """What an installer makes for a package's sake is not worth a line of its own."""
    after: dict[str, Entry] = {
        **installed("gunicorn", "20", {"gunicorn/app/base.py": b"g", "../../../bin/gunicorn": b"#!/srv/x"}),
        f"{SITE}/gunicorn": DIR,
        f"{SITE}/gunicorn/app": DIR,
        f"{SITE}/gunicorn-20.dist-info": DIR,
        f"{SITE}/gunicorn/app/__pycache__": DIR,
        f"{SITE}/gunicorn/app/__pycache__/base.cpython-311.pyc": b"pyc",
    }
    after = {path.replace("/lib/python3.11/site-packages/../../../bin", "/bin"): e for path, e in after.items()}
    meaning = accounted(TreeView({}, after))
    assert list(named(meaning)) == ["python-package:/srv/shop/venv:gunicorn"]
    assert [row.rule for row in meaning.noise] == ["byte-code"] * 2
    assert path_of("/srv/shop/venv/bin/gunicorn") in meaning.effects[0].paths


def test_byte_code_and_the_place_it_came_from_do_not_change_the_content() -> None:
    """The digest must be equal for equal effects, across rehearsals and hosts."""
    pyc = "__pycache__/six.cpython-311.pyc,,\n"
    one = installed("six", "1", {"six.py": b"6", "six-1.dist-info/direct_url.json": b"file:///a"}, extra=pyc)
    two = installed("six", "1", {"six.py": b"6", "six-1.dist-info/direct_url.json": b"file:///b"})
    contents = {accounted(TreeView({}, tree)).effects[0].content for tree in (one, two)}
    assert len(contents) == 1


def test_a_mode_is_part_of_the_content() -> None:
    """The same bytes, writable by all, are another effect."""
    tree = installed("six", "1", {"six.py": b"6"})
    other = {**tree, f"{SITE}/six.py": (b"6", regular(b"6", mode=0o666))}
    contents = {accounted(TreeView({}, found)).effects[0].content for found in (tree, other)}
    assert len(contents) == 2


HOSTILE = [
    entry("../../../../../../etc/passwd", b"root"),
    entry("/etc/passwd", b"root"),
    entry("../../../../../../../../../../etc/passwd", b"root"),
    'six.py,"sha256=\n',
    "six.py,sha256=!!!,1\n",
    "six.py,md5=abc,1\n",
    "\0,,\n",
    "x" * 200_000 + ",,\n",
    "\udcff\udcfe,sha256=AAAA,1\n",
    ",,\n\n,\n",
    '"a\nb",,\n',
]


@pytest.mark.parametrize("line", HOSTILE)
def test_a_hostile_record_claims_nothing_outside_and_breaks_nothing(line: str) -> None:
    """RECORD comes out of a wheel that anybody may have made."""
    after: dict[str, Entry] = {**installed("six", "1", {"six.py": b"6"}, extra=line), "/etc/passwd": b"root"}
    told = named(accounted(TreeView({}, after)))
    assert "python-package:/srv/shop/venv:six" in told
    assert "user:root" in told or "file:/etc/passwd" in told


def test_a_record_cannot_take_over_a_file_that_was_there_before() -> None:
    """A wheel that lists bin/python with the right hash must not hide that it replaced the interpreter."""
    after = installed("evil", "1", {"evil.py": b"e", "../../../bin/python": b"evil"})
    after = {path.replace(f"{SITE}/../../../bin", "/srv/shop/venv/bin"): content for path, content in after.items()}
    told = named(accounted(TreeView({"/srv/shop/venv/bin/python": b"good"}, after)))
    assert told["file:/srv/shop/venv/bin/python"][0] == "edited"


def test_a_link_in_place_of_a_listed_file_stays_a_file() -> None:
    """A link has no bytes that a hash could vouch for."""
    after: dict[str, Entry] = {**installed("six", "1", {"six.py": b"6"}), f"{SITE}/six.py": link("/etc/shadow")}
    assert f"file:{SITE}/six.py" in named(accounted(TreeView({}, after)))


def test_an_egg_info_folder_claims_only_itself() -> None:
    """It lists no hashes, so that nothing vouches for the modules."""
    egg = f"{SITE}/shop-1.0-py3.11.egg-info"
    after: dict[str, Entry] = {egg: DIR, f"{egg}/PKG-INFO": b"Name: shop\nVersion: 1.0\n", f"{SITE}/shop.py": b"s"}
    assert set(named(accounted(TreeView({}, after)))) == {"python-package:/srv/shop/venv:shop", f"file:{SITE}/shop.py"}


def test_metadata_of_another_name_does_not_rename_a_package() -> None:
    """Installers find a package by its folder; METADATA that says otherwise is not believed."""
    tree: dict[str, Entry] = {
        **installed("evil", "1", {"evil.py": b"e"}),
        f"{SITE}/evil-1.dist-info/METADATA": b"Name: flask\nVersion: 9\n",
    }
    assert "python-package:/srv/shop/venv:evil" in named(accounted(TreeView({}, tree)))
