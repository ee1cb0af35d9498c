"""A small Debian of its own: apt and dpkg that know one repository of tiny packages, in a world of its own."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from kit.busy import World, world
from kit.cli import Backout

PERIODIC = """APT::Sandbox::User "root";
APT::Periodic::Enable "1";
APT::Periodic::Update-Package-Lists "always";
APT::Periodic::Download-Upgradeable-Packages "always";
"""


class Repository:
    """Packages, and the index that apt fetches. What they hold lies in `site`, below the root."""

    def __init__(self, root: Path) -> None:
        self.folder, self.site, self._work = root / "repository", root / "site", root / "packages"
        self.folder.mkdir()

    def add(
        self,
        name: str,
        version: str = "1",
        files: Mapping[str, str] | None = None,
        *,
        architecture: str = "all",
        fields: str = "",
        scripts: Mapping[str, str] | None = None,
    ) -> None:
        """Add a package, by default of one file; apt knows of it when it has updated its lists.

        `fields` are more lines of its control file, `scripts` what lies beside that: maintainer scripts, conffiles.
        """
        tree = self._work / f"{name}_{version}"
        (tree / "DEBIAN").mkdir(parents=True)
        about = f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: T <t@example.org>\n"
        control = f"{about}{fields}Description: tiny\n"
        for script, text in {"control": control, **(scripts or {})}.items():
            (tree / "DEBIAN" / script).write_text(text)
            (tree / "DEBIAN" / script).chmod(0o755 if text.startswith("#!") else 0o644)
        for path, text in (files or {name: f"{name}\n"}).items():
            file = tree / str(self.site / path).lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        built = self.folder / f"{name}_{version}.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, built], check=True, capture_output=True)
        content = built.read_bytes()
        place = f"Filename: ./{built.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n\n"
        with (self.folder / "Packages").open("a") as index:
            index.write(control + place)


def native() -> str:
    """Give this machine's architecture, as dpkg calls it; a host has at least one package of it."""
    asked = ["dpkg", "--print-architecture"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


@contextlib.contextmanager
def apt_world(root: Path, repository: Repository) -> Iterator[tuple[Backout, World]]:
    """Give a world where nothing is installed yet, and a command line in it."""
    folders = {name: root / "world" / name for name in ("apt", "dpkg", "lib", "cache", "log")}
    for within in ("apt/apt.conf.d", "dpkg/info", "dpkg/updates", "dpkg/triggers", "lib/periodic", "cache", "log/apt"):
        (root / "world" / within).mkdir(parents=True)
    (folders["apt"] / "sources.list").write_text(f"deb [trusted=yes] copy:{repository.folder} ./\n")
    (folders["apt"] / "apt.conf.d/10periodic").write_text(PERIODIC)
    (folders["dpkg"] / "status").touch()
    places = zip(
        folders.values(), ("/etc/apt", "/var/lib/dpkg", "/var/lib/apt", "/var/cache/apt", "/var/log"), strict=True
    )
    backout = Backout(root)
    with world(backout.folder, list(places)) as live:
        live.holds(backout)
        yield backout, live


def installed(live: World) -> dict[str, str]:
    """Give the packages that dpkg knows, each with its version; none may be half done, nor lack what it needs."""
    assert live("dpkg", "--audit").stdout == ""
    live("apt-get", "check")
    if not live("cat", "/var/lib/dpkg/status").stdout:
        return {}
    shown = live("dpkg-query", "--show", "--showformat=${db:Status-Abbrev}${Package}=${Version}\n").stdout
    packages = dict(line.removeprefix("ii ").split("=") for line in shown.splitlines())
    assert not any(" " in name for name in packages), shown
    return packages
