"""Which package indexes and git remotes a host is configured for: what a rehearsal may reach without being asked.

Pure: files come through a reader and a lister. The places and formats are those that each tool documents: pip's
"Configuration", uv's "Configuration files", sources.list(5), npm's "npmrc", git-config(1). Files that another file
names (git's include.path, pip's find-links to a page) are not followed; what they need is refused, and named.

TOML has no parser in Python before 3.11: uv's files are read line by line, for quoted http(s) addresses only.
"""

from __future__ import annotations

import configparser
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Callable, NamedTuple
from urllib.parse import urlsplit

from backout.host.egress import Destination, parse_destination

Read = Callable[[str], "str | None"]
"""Gives a file's text; None when there is none that can be read."""
ListFolder = Callable[[str], Sequence[str]]
"""Gives the names in a folder; none when there is no such folder."""

PYPI = "https://pypi.org/simple"
NPM = "https://registry.npmjs.org/"

_FILES_OF = {"pypi.org": ("files.pythonhosted.org",), "github.com": ("codeload.github.com",)}
"""Where an index keeps its files, when that is elsewhere."""
_PORTS = {"http": 80, "https": 443, "ssh": 22, "git": 9418}
_ADDRESS = re.compile(r"(?:https?|ssh|git)://[^\s\"'<>,;\]\\]+")
_SCP_LIKE = re.compile(r"(?:[^@:/\s]+@)?([A-Za-z0-9.-]+):(?!//)\S+")
"""Git's short form of an ssh address, user@host:path."""


class Host(NamedTuple):
    """What is known of the host: its environment, the command's folder, and how to read and list."""

    environ: Mapping[str, str]
    cwd: str
    read: Read
    list_folder: ListFolder

    @property
    def home(self) -> str:
        """The user's folder."""
        return self.environ.get("HOME") or "/root"

    @property
    def user_config(self) -> str:
        """Where the user's settings lie (XDG base directories)."""
        return self.environ.get("XDG_CONFIG_HOME") or posixpath.join(self.home, ".config")

    def texts(self, *paths: str) -> Iterator[tuple[str, str]]:
        """Give those of the files that can be read: path, text."""
        for path in paths:
            text = self.read(path)
            if text is not None:
                yield path, text

    def upward(self, name: str) -> list[str]:
        """Name the file in the command's folder and in each one above it."""
        folders = [self.cwd]
        while folders[-1] not in ("/", ""):
            folders.append(posixpath.dirname(folders[-1]))
        return [posixpath.join(folder, name) for folder in folders]


class Named(NamedTuple):
    """An address as somebody wrote it, where, and whether it takes the place of that tool's default."""

    address: str
    source: str
    replaces_default: bool = False


def package_destinations(
    environ: Mapping[str, str], cwd: str, read: Read, list_folder: ListFolder, prefixes: Sequence[str] = ()
) -> tuple[Destination, ...]:
    """Name each host and port that this host's package managers and git are configured to fetch from, once.

    `prefixes` are virtualenvs that the command is known to use; those in `cwd` and $VIRTUAL_ENV are found.
    An address that makes no sense is passed over: its tool will complain better than we could.
    """
    host = Host(environ, cwd, read, list_folder)
    named = [*_with_default(_pip(host, prefixes), list(_uv(host))), *_apt(host), *_npm(host), *_git(host)]
    found: dict[tuple[str, int], Destination] = {}
    for one in named:
        for destination in destinations_of(one.address, one.source):
            found.setdefault((destination.host, destination.port), destination)
    return tuple(found.values())


def destinations_of(address: str, source: str) -> tuple[Destination, ...]:
    """Read an address: host and port, and where that index keeps its files; none when it names no host."""
    address = address.strip().split("+", 1)[-1] if re.match(r"[a-z-]+\+[a-z]+://", address.strip()) else address.strip()
    try:
        host, port = _host_and_port(address)
        first = parse_destination(f"[{host}]:{port}", source)
    except ValueError:
        return ()
    files = _FILES_OF.get(first.host, ()) if port == _PORTS["https"] else ()
    return (first, *(Destination(other, port, source) for other in files))


def _host_and_port(address: str) -> tuple[str, int]:
    url = urlsplit(address)
    if url.scheme not in _PORTS or not url.hostname:
        raise ValueError(f"{address!r} names no host")
    return url.hostname, url.port or _PORTS[url.scheme]


def _with_default(pip: Iterator[Named], uv: list[Named]) -> Iterator[Named]:
    """Add PyPI where pip goes there unless told otherwise; for uv only where the host has settings for uv."""
    of_pip = list(pip)
    if not any(one.replaces_default for one in of_pip) or (uv and not any(one.replaces_default for one in uv)):
        yield Named(PYPI, "pip's default")
    yield from of_pip
    yield from uv


def _pip(host: Host, prefixes: Sequence[str]) -> Iterator[Named]:
    """Read pip's settings, and the requirements files in the command's folder."""
    for key, replaces in (("PIP_INDEX_URL", True), ("PIP_EXTRA_INDEX_URL", False), ("PIP_FIND_LINKS", False)):
        for address in host.environ.get(key, "").split():
            yield Named(address, key, replaces)
    for path, text in host.texts(*_pip_files(host, prefixes)):
        yield from _pip_file(path, text)
    names = sorted(name for name in host.list_folder(host.cwd) if re.fullmatch(r"requirements.*\.(txt|in)", name))
    for path, text in host.texts(*(posixpath.join(host.cwd, name) for name in names)):
        yield from _requirements(path, text)


def _pip_files(host: Host, prefixes: Sequence[str]) -> list[str]:
    chosen = host.environ.get("PIP_CONFIG_FILE")
    if chosen == "/dev/null":  # pip's way of saying: no file at all
        return []
    shared = (host.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    inside = [posixpath.join(host.cwd, name) for name in sorted(host.list_folder(host.cwd))]
    virtualenvs = [folder for folder in inside if host.read(posixpath.join(folder, "pyvenv.cfg")) is not None]
    active = host.environ.get("VIRTUAL_ENV")
    folders = [*virtualenvs, *([active] if active else []), *prefixes]
    return [
        "/etc/pip.conf",
        *(posixpath.join(folder, "pip/pip.conf") for folder in [*shared, host.user_config]),
        posixpath.join(host.home, ".pip/pip.conf"),
        *(posixpath.join(folder, "pip.conf") for folder in folders),
        *([chosen] if chosen else []),
    ]


def _pip_file(path: str, text: str) -> Iterator[Named]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    for section in parser.sections():
        for key, value in parser.items(section):
            name = key.replace("_", "-")
            if name in ("index-url", "extra-index-url", "find-links"):
                yield from (Named(address, path, name == "index-url") for address in value.split())


_REQUIREMENT_OPTION = re.compile(r"\s*(-i|--index-url|--extra-index-url|-f|--find-links)[\s=]+(\S+)")


def _requirements(path: str, text: str) -> Iterator[Named]:
    """Read the options that name indexes, and requirements that are addresses themselves.

    An --index-url here doesn't take PyPI's place: it does so only for commands that read this file.
    """
    for line in text.splitlines():
        option = _REQUIREMENT_OPTION.match(line)
        if option:
            yield Named(option.group(2), path)
        elif not line.lstrip().startswith("#"):
            yield from (Named(address, path) for address in _ADDRESS.findall(line.split(" #")[0]))


def _uv(host: Host) -> Iterator[Named]:
    for key in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"):
        for address in host.environ.get(key, "").split():
            named = address.split("=", 1)[1] if re.match(r"[\w-]+=", address) else address
            yield Named(named, key, key in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"))
    shared = (host.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    files = ["/etc/uv/uv.toml", *(posixpath.join(folder, "uv/uv.toml") for folder in [*shared, host.user_config])]
    chosen = host.environ.get("UV_CONFIG_FILE")
    for path, text in host.texts(*files, *host.upward("uv.toml"), *([chosen] if chosen else [])):
        yield from _uv_lines(path, text, inside=True)
    for path, text in host.texts(*host.upward("pyproject.toml")):
        yield from _uv_lines(path, text, inside=False)


def _uv_lines(path: str, text: str, *, inside: bool) -> Iterator[Named]:
    """Give the addresses in a uv.toml, or in pyproject.toml's tables [tool.uv…].

    A table `[[index]]` with `default = true` replaces PyPI; in which order its keys stand doesn't matter.
    """
    default = bool(re.search(r"^\s*(index-url|default-index)\s*=|^\s*default\s*=\s*true", text, re.MULTILINE))
    for line in text.splitlines():
        table = re.match(r"\s*\[\[?\s*([\w.\"-]+)\s*\]\]?\s*(#.*)?$", line)
        if table:
            inside = inside if posixpath.basename(path) != "pyproject.toml" else table.group(1).startswith("tool.uv")
        elif inside and not line.lstrip().startswith("#"):
            yield from (Named(address, path, default) for address in _ADDRESS.findall(line))


def _apt(host: Host) -> Iterator[Named]:
    folder = "/etc/apt/sources.list.d"
    names = sorted(host.list_folder(folder))
    lists = ["/etc/apt/sources.list", *(posixpath.join(folder, name) for name in names if name.endswith(".list"))]
    for path, text in host.texts(*lists):
        for line in re.findall(r"^[ \t]*deb(?:-src)?[ \t]+(?:\[[^\]]*\][ \t]*)?(\S+)", text, re.MULTILINE):
            yield Named(line, path)
    for path, text in host.texts(*(posixpath.join(folder, name) for name in names if name.endswith(".sources"))):
        yield from (Named(address, path) for address in _deb822(text))


def _deb822(text: str) -> Iterator[str]:
    """Give the URIs of each paragraph that is not disabled; comments may stand anywhere, values go on indented."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        fields = dict(re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", paragraph, re.MULTILINE))
        lowered = {name.lower(): value for name, value in fields.items()}
        if lowered.get("enabled", "yes").strip().lower() not in ("no", "false", "0", "off", "without", "disable"):
            yield from lowered.get("uris", "").split()


def _npm(host: Host) -> Iterator[Named]:
    """Read npm's registries, of scopes too; its default counts unless a registry takes its place."""
    environ = {key.lower(): value for key, value in host.environ.items()}
    files = ["/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc", *host.upward(".npmrc")]
    files.append(environ.get("npm_config_userconfig") or posixpath.join(host.home, ".npmrc"))
    variable = environ.get("npm_config_registry")
    found = [Named(variable, "npm_config_registry", replaces_default=True)] if variable else []
    for path, text in host.texts(*dict.fromkeys(files)):
        for scope, value in re.findall(r"^\s*(@[^:\s]+:)?registry\s*=\s*(\S+)", text, re.MULTILINE):
            found.append(Named(_expanded(value.strip("\"'"), host.environ), path, not scope))
    if not any(one.replaces_default for one in found):
        found.append(Named(NPM, "npm's default"))
    yield from found


def _expanded(value: str, environ: Mapping[str, str]) -> str:
    """Put in ${VARIABLES}, as npm does."""
    return re.sub(r"\$\{(\w+)\}", lambda found: environ.get(found.group(1), ""), value)


def _git(host: Host) -> Iterator[Named]:
    """Read the remotes, submodules and address rewrites of the system, the user, and the command's repository."""
    files = ["/etc/gitconfig", posixpath.join(host.user_config, "git/config"), posixpath.join(host.home, ".gitconfig")]
    for path, text in host.texts(*files, *_repository_files(host)):
        section = ""
        for line in text.splitlines():
            header = re.match(r"\s*\[\s*(remote|submodule|url)\s+\"((?:[^\"\\]|\\.)*)\"\s*\]", line)
            if header or re.match(r"\s*\[", line):
                section = header.group(1) if header else ""
                if header and section == "url":
                    yield Named(header.group(2), path)
            setting = re.match(r"\s*(?:push)?url\s*=\s*\"?([^\s\"#;]+)", line, re.IGNORECASE)
            if setting and section in ("remote", "submodule"):
                short = _SCP_LIKE.fullmatch(setting.group(1))
                yield Named(f"ssh://{short.group(1)}" if short else setting.group(1), path)


def _repository_files(host: Host) -> list[str]:
    """Find the nearest repository's files; a worktree's `.git` is a file that names the folder."""
    for dot_git in host.upward(".git"):
        pointer = re.match(r"gitdir:\s*(.+)", host.read(dot_git) or "")
        folder = posixpath.join(posixpath.dirname(dot_git), pointer.group(1).strip()) if pointer else dot_git
        shared = (host.read(posixpath.join(folder, "commondir")) or "").strip()
        config = posixpath.normpath(posixpath.join(folder, shared, "config"))
        if host.read(config) is not None:
            return [config, posixpath.join(posixpath.dirname(dot_git), ".gitmodules")]
    return []
