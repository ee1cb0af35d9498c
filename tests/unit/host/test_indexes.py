"""What a host is configured to fetch from: the only places that a rehearsal reaches without being asked."""

from __future__ import annotations

import posixpath

import pytest

from backout.host.egress import Destination
from backout.host.indexes import destinations_of, package_destinations

DEFAULTS = {("pypi.org", 443), ("files.pythonhosted.org", 443), ("registry.npmjs.org", 443)}


def found(files: dict[str, str], environ: dict[str, str] | None = None, cwd: str = "/srv/shop") -> list[Destination]:
    """Look at a host that has just these files."""

    def names(folder: str) -> list[str]:
        below = [posixpath.relpath(path, folder) for path in files if path.startswith(folder + "/")]
        return sorted({name.split("/")[0] for name in below})

    return list(package_destinations({"HOME": "/home/deploy", **(environ or {})}, cwd, files.get, names))


def places(files: dict[str, str], environ: dict[str, str] | None = None) -> set[tuple[str, int]]:
    """The same, without who says so."""
    return {(to.host, to.port) for to in found(files, environ)}


def test_a_host_without_settings_reaches_the_defaults_of_its_tools() -> None:
    """Most hosts are like this; pip's files lie on a host of their own, without which no install would work."""
    assert places({}) == DEFAULTS


@pytest.mark.parametrize(
    "path",
    [
        "/etc/pip.conf",
        "/etc/xdg/pip/pip.conf",
        "/home/deploy/.config/pip/pip.conf",
        "/home/deploy/.pip/pip.conf",
    ],
)
def test_a_configured_index_takes_the_place_of_pypi(path: str) -> None:
    """Who set up a private index may have done so to keep PyPI out; opening PyPI would undo that."""
    settings = "[global]\nindex-url = https://user:secret@devpi.example.com:8443/root/simple\n"
    assert places({path: settings}) == {("devpi.example.com", 8443), ("registry.npmjs.org", 443)}


def test_further_indexes_come_on_top_of_pypi() -> None:
    """Several values stand below each other; a file: index needs no network."""
    settings = (
        "[install]\nextra_index_url =\n    https://one.example/simple\n    file:///opt/two\n    http://three.example\n"
    )
    assert places({"/etc/pip.conf": settings}) == DEFAULTS | {("one.example", 443), ("three.example", 80)}


def test_the_settings_of_a_virtualenv_count() -> None:
    """The command may call any of them by path; a folder without pyvenv.cfg is none."""
    settings = "[global]\nextra-index-url = https://venv.example/simple\n"
    files = {"/srv/shop/env/pip.conf": settings}
    assert ("venv.example", 443) not in places(files)
    assert ("venv.example", 443) in places({**files, "/srv/shop/env/pyvenv.cfg": "home = /usr/bin\n"})
    assert ("venv.example", 443) in places(files, {"VIRTUAL_ENV": "/srv/shop/env"})


def test_a_broken_pip_conf_is_passed_over() -> None:
    """Pip says so itself, and better; a rehearsal of something else must not fail because of it."""
    assert places({"/etc/pip.conf": "index-url = no section\n"}) == DEFAULTS


def test_pip_and_uv_variables_count() -> None:
    """CI jobs and unit files set indexes this way."""
    environ = {
        "PIP_INDEX_URL": "https://pip.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://more.example/a https://more.example:444/b",
        "UV_DEFAULT_INDEX": "https://uv.example/simple",
        "UV_INDEX": "torch=https://torch.example/whl https://plain.example/simple",
    }
    hosts = {("pip.example", 443), ("more.example", 443), ("more.example", 444), ("uv.example", 443)}
    assert places({}, environ) == hosts | {("torch.example", 443), ("plain.example", 443), ("registry.npmjs.org", 443)}


def test_uv_goes_to_pypi_although_pip_does_not() -> None:
    """It reads none of pip's settings; it counts only where the host has settings for uv at all."""
    files = {"/etc/pip.conf": "[global]\nindex-url = https://devpi.example\n"}
    assert ("pypi.org", 443) not in places(files)
    files["/home/deploy/.config/uv/uv.toml"] = '[[index]]\nname = "more"\nurl = "https://more.example/simple"\n'
    assert {("pypi.org", 443), ("more.example", 443)} <= places(files)
    files["/home/deploy/.config/uv/uv.toml"] += "default = true\n"
    assert ("pypi.org", 443) not in places(files)


def test_only_uvs_own_tables_of_a_pyproject_count() -> None:
    """A project's homepage is no index."""
    text = """
[project.urls]
Homepage = "https://shop.example"
[tool.uv.sources]
# old = { git = "https://old.example/x" }
lib = { git = "https://git.example/lib" }
[[tool.uv.index]]
url = "https://index.example/simple"
[tool.other]
url = "https://other.example"
"""
    assert places({"/srv/pyproject.toml": text}) - DEFAULTS == {("git.example", 443), ("index.example", 443)}


def test_requirements_files_name_indexes_and_addresses() -> None:
    """`pip install -r` honours them; a comment is a comment."""
    text = """
-i https://i.example/simple
--extra-index-url=https://extra.example/simple
flask==2.2.5  # see https://flask.example
lib @ git+https://git.example/lib.git@v1
-e git+ssh://git@ssh.example:2222/lib.git#egg=lib
# --index-url https://old.example
"""
    expected = {("i.example", 443), ("extra.example", 443), ("git.example", 443), ("ssh.example", 2222)}
    assert places({"/srv/shop/requirements-dev.txt": text}) == DEFAULTS | expected


def test_apt_sources_of_both_formats_count() -> None:
    """Debian 12 writes one, every tutorial the other; a disabled source is not used."""
    files = {
        "/etc/apt/sources.list": "# deb http://old.example x\ndeb [arch=amd64 trusted=yes] http://one.example/d x y\n",
        "/etc/apt/sources.list.d/vendor.list": "deb-src https://two.example:8443 x y\ndeb cdrom:[Debian]/ x main\n",
        "/etc/apt/sources.list.d/debian.sources": "Types: deb\n# a comment\nURIs: http://three.example/debian\n"
        " mirror+http://four.example/list\nSuites: bookworm\n\nTypes: deb\nEnabled: no\nURIs: http://five.example\n",
        "/etc/apt/sources.list.d/vendor.list.save": "deb http://saved.example x y\n",
    }
    expected = {("one.example", 80), ("two.example", 8443), ("three.example", 80), ("four.example", 80)}
    assert places(files) == DEFAULTS | expected


def test_npm_registries_count_with_their_scopes() -> None:
    """A scope's registry comes on top; a registry takes npm's place. Values may hold variables."""
    text = "@shop:registry=https://npm.example/\n//npm.example/:_authToken=${TOKEN}\n"
    assert places({"/srv/shop/.npmrc": text}) == DEFAULTS | {("npm.example", 443)}
    text += "registry = https://${REGISTRY}:4873/\n"
    expected = DEFAULTS - {("registry.npmjs.org", 443)} | {("npm.example", 443), ("verdaccio.example", 4873)}
    assert places({"/home/deploy/.npmrc": text}, {"REGISTRY": "verdaccio.example"}) == expected


def test_git_remotes_and_rewrites_count() -> None:
    """The command's repository may lie above its folder; the user's rewrites lead somewhere else."""
    files = {
        "/srv/.git/config": "[core]\n\turl = https://not.example\n"
        '[remote "origin"]\n\turl = git@scp.example:team/shop.git\n'
        '\tpushurl = ssh://git@push.example:2222/shop\n[remote "disk"]\n\turl = /srv/git/shop.git\n',
        "/home/deploy/.gitconfig": '[url "https://mirror.example/"]\n\tinsteadOf = https://github.example/\n',
        "/srv/.gitmodules": '[submodule "lib"]\n\tpath = lib\n\turl = https://modules.example/lib.git\n',
    }
    expected = {("scp.example", 22), ("push.example", 2222), ("mirror.example", 443), ("modules.example", 443)}
    assert places(files) == DEFAULTS | expected


def test_a_worktree_leads_to_its_repository() -> None:
    """There `.git` is a file; deployments by worktree are common."""
    files = {
        "/srv/shop/.git": "gitdir: /srv/bare/worktrees/shop\n",
        "/srv/bare/worktrees/shop/commondir": "../..\n",
        "/srv/bare/config": '[remote "origin"]\n\turl = https://git.example/shop\n',
    }
    assert ("git.example", 443) in places(files)


def test_each_destination_says_who_named_it_first() -> None:
    """In the report an operator must find the file to change."""
    files = {"/etc/pip.conf": "[global]\nindex-url = https://one.example\nextra-index-url = https://one.example/b\n"}
    assert found(files)[0] == Destination("one.example", 443, "/etc/pip.conf")
    assert [to.host for to in found(files)].count("one.example") == 1


@pytest.mark.parametrize(
    "address", ["", "nonsense", "/srv/git", "file:///x", "https://", "https://x:99999/", "http://[::1"]
)
def test_an_address_that_makes_no_sense_opens_nothing(address: str) -> None:
    """Settings are full of leftovers; none may break a rehearsal, or open something by accident."""
    assert destinations_of(address, "here") == ()
