"""The lenses on what real tools write: pip in a virtual environment, dpkg in a root of its own."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from base64 import urlsafe_b64encode
from itertools import pairwise
from pathlib import Path

import pytest

from backout.model.digest import digest
from kit.trees import TreeView, accounted, named, snapshot


def wheel(folder: Path, version: str, files: dict[str, str]) -> Path:
    """Build a wheel of the package Shop.Kit with a console script."""
    info = f"shop_kit-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: Shop.Kit\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by-hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nshop-kit = shop_kit:main\n",
    }
    rows = [f"{name},sha256={encoded(text)},{len(text)}\n" for name, text in files.items()]
    path = folder / f"shop_kit-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "".join(rows) + f"{info}/RECORD,,\n")
    return path


def encoded(text: str) -> str:
    """A hash as RECORD writes it."""
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment with pip."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    return tmp_path / "venv"


def pip(environment: Path, *arguments: str | Path) -> None:
    """Run the environment's own pip, with no index."""
    quiet = ["-q", "--disable-pip-version-check", "--no-input"]
    subprocess.run([environment / "bin" / "pip", *arguments, *quiet], check=True, capture_output=True)


def test_what_pip_does_is_told_as_packages_and_nothing_else(environment: Path, tmp_path: Path) -> None:
    """Installing, upgrading and removing are one effect each, whatever number of files each touches."""
    one = wheel(tmp_path, "1.0", {"shop_kit/__init__.py": "def main(): ...\n", "shop_kit/old.py": "old = 1\n"})
    two = wheel(tmp_path, "2.0", {"shop_kit/__init__.py": "def main(): 2\n", "shop_kit/new/__init__.py": ""})
    subject = "python-package:/srv/venv:shop-kit"
    pictures = [snapshot(environment, "/srv/venv")]
    for command in (["install", one], ["install", "-U", two], ["uninstall", "-y", "shop-kit"]):
        pip(environment, *command)
        pictures.append(snapshot(environment, "/srv/venv"))
    told = [named(accounted(TreeView(*pair))) for pair in pairwise(pictures)]
    assert told == [
        {subject: ("added", None, "1.0")},
        {subject: ("edited", "1.0", "2.0")},
        {subject: ("removed", "2.0", None)},
    ]


def test_one_wheel_installed_twice_has_one_digest(environment: Path, tmp_path: Path) -> None:
    """A digest that a colleague accepts must still be the digest when the rehearsal is repeated, here or elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    digests = set()
    for folder in (tmp_path, tmp_path / "elsewhere"):
        found = wheel(folder, "1.0", {"shop_kit/__init__.py": "def main(): ...\n"})
        before = snapshot(environment)
        pip(environment, "install", found)
        digests.add(digest(accounted(TreeView(before, snapshot(environment))).effects))
        pip(environment, "uninstall", "-y", "shop-kit")
    assert len(digests) == 1


def test_a_wheel_with_the_same_version_and_other_bytes_has_another_digest(environment: Path, tmp_path: Path) -> None:
    """A package is bound to its bits: "1.0" built twice is two things."""
    digests = set()
    for text in ("def main(): 1\n", "def main(): 2\n"):
        found = wheel(tmp_path, "1.0", {"shop_kit/__init__.py": text})
        before = snapshot(environment)
        pip(environment, "install", found)
        digests.add(digest(accounted(TreeView(before, snapshot(environment))).effects))
        pip(environment, "uninstall", "-y", "shop-kit")
    assert len(digests) == 2


def deb(folder: Path, version: str, files: dict[str, str]) -> Path:
    """Build a Debian package shop with its hashes and one configuration file."""
    tree = folder / f"tree-{version}"
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    control = tree / "DEBIAN"
    control.mkdir()
    about = (
        f"Package: shop\nVersion: {version}\nArchitecture: all\nMaintainer: Shop <shop@example.com>\nDescription: x\n"
    )
    (control / "control").write_text(about)
    (control / "conffiles").write_text("/etc/shop.conf\n")
    sums = [f"{hashlib.md5(text.encode()).hexdigest()}  {name}\n" for name, text in files.items() if "etc/" not in name]
    (control / "md5sums").write_text("".join(sums))
    package = folder / f"shop_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, package], check=True, capture_output=True)
    return package


def test_what_dpkg_does_is_told_as_packages(tmp_path: Path) -> None:
    """Installing, upgrading, removing and purging, by the real dpkg in a root of its own."""
    root = tmp_path / "root"
    admin = root / "var/lib/dpkg"
    (admin / "info").mkdir(parents=True)
    (admin / "updates").mkdir()
    (root / "var/log").mkdir()
    (admin / "status").write_text("")
    one = deb(tmp_path, "1.0", {"usr/share/shop/a": "a\n", "usr/share/shop/b": "b\n", "etc/shop.conf": "x = 1\n"})
    two = deb(tmp_path, "2.0", {"usr/share/shop/a": "A\n", "usr/share/shop/c/c": "c\n", "etc/shop.conf": "x = 2\n"})
    pictures = [snapshot(root)]
    for command in (["-i", one], ["-i", two], ["-r", "shop"], ["-P", "shop"]):
        dpkg = ["dpkg", f"--root={root}", f"--log={root}/var/log/dpkg.log", "--force-not-root,bad-path"]
        subprocess.run([*dpkg, *command], check=True, capture_output=True)
        pictures.append(snapshot(root))
    told = [named(accounted(TreeView(*pair))) for pair in pairwise(pictures)]
    packages = [{key: value for key, value in effects.items() if key.startswith("debian-package:")} for effects in told]
    assert packages == [
        {"debian-package:shop": ("added", None, "1.0")},
        {"debian-package:shop": ("edited", "1.0", "2.0")},
        {"debian-package:shop": ("removed", "2.0", "2.0 (config-files)")},
        {"debian-package:shop": ("removed", "2.0 (config-files)", None)},
    ]
    assert [set(effects) for effects in told[1:3]] == [{"debian-package:shop"}] * 2
