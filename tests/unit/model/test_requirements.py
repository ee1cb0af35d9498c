"""Requirements are read as pip reads them, as far as it takes to tell whether they are pinned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.model.requirements import Include, Requirement, in_command, in_file

COMMIT = "0123456789abcdef" * 2 + "01234567"
SHA = "ab" * 32


@pytest.mark.parametrize(
    ("line", "name", "exact"),
    [
        ("flask", "flask", False),
        ("Flask_Login==1.0", "flask-login", True),
        ("flask == 2.2.5  # the last good one", "flask", True),
        ("flask===2.2.5+local", "flask", True),
        ("flask==2.2.*", "flask", False),
        ("flask>=2.2.5", "flask", False),
        ("flask~=2.2.5", "flask", False),
        ("flask>=2,==2.2.5", "flask", True),
        ("flask (==2.2.5)", "flask", True),
        ("uvicorn[standard, extra]==0.30.0", "uvicorn", True),
        ("uvicorn[standard]", "uvicorn", False),
        ("flask==2.2.5; python_version < '3.12'", "flask", True),
        ("flask ; python_version == '3.11'", "flask", False),
        ("flask # ==2.2.5", "flask", False),
        (f"flask --hash=sha256:{SHA}", "flask", True),
        (f"flask==2.2.5 \\\n    --hash=sha256:{SHA} \\\n    --hash=sha256:{SHA}", "flask", True),
        ("flask\\\n==2.2.5", "flask", True),
        ("git+https://example.com/team/shop.git@main", "shop", False),
        (f"git+https://example.com/team/shop.git@{COMMIT}", "shop", True),
        (f"git+ssh://git@example.com/team/shop@{COMMIT}#egg=Shop_App", "shop-app", True),
        (f"shop @ git+https://example.com/team/shop.git@{COMMIT} ; sys_platform == 'linux'", "shop", True),
        ("shop @ git+https://example.com/team/shop.git@v1.0", "shop", False),
        (f"shop @ https://example.com/shop.zip#sha256={SHA}", "shop", True),
        ("shop @ https://example.com/shop.zip", "shop", False),
        ("https://example.com/flask-2.2.5-py3-none-any.whl", "flask", True),
        ("./wheels/flask-2.2.5-py3-none-any.whl", "flask", True),
        ("./shop", "", False),
        ("-e ./shop", "", False),
        (f"-e git+https://example.com/team/shop.git@{COMMIT}#egg=shop", "shop", True),
        ("--editable=git+https://example.com/team/shop.git#egg=shop", "shop", False),
        ("$PACKAGE", "", False),
        ("flask 2.2.5", "flask", False),
        ("==2.2.5", "", False),
    ],
)
def test_a_line_is_pinned_where_it_names_one_version_or_its_bits(line: str, name: str, exact: bool) -> None:
    """What floats is what breaks on the day when nobody changed anything."""
    (row,) = in_file(line, "/srv/r.txt")
    assert isinstance(row, Requirement)
    assert (row.name, row.exact, row.file) == (name, exact, "/srv/r.txt")


@pytest.mark.parametrize(
    "line",
    ["", "# flask", "   # flask", "-i https://example.com/simple", "--no-binary :all:", "--require-hashes", "\\"],
)
def test_comments_and_options_of_the_file_ask_for_nothing(line: str) -> None:
    """An index is not a package."""
    assert in_file(line, "/srv/r.txt") == []


def test_a_line_of_comment_ends_what_was_continued() -> None:
    """Pip's own order: lines are joined first, and a comment is no part of the next one."""
    told = in_file("flask \\\n# not this\njinja2==3.1", "/r.txt")
    assert [row.text for row in told] == ["flask", "jinja2==3.1"]


@pytest.mark.parametrize("line", ["-r base.txt", "-rbase.txt", "--requirement base.txt", "--requirement=base.txt"])
def test_what_a_file_includes_is_beside_it(line: str) -> None:
    """Pip reads it relative to the file, wherever it was started."""
    assert in_file(line, "/srv/shop/r.txt") == [Include("base.txt", "/srv/shop/base.txt", False, "/srv/shop/r.txt")]


def test_constraints_are_told_from_requirements_also_where_they_are_included() -> None:
    """A constraint installs nothing."""
    assert in_file("-c c.txt", "/r.txt") == [Include("c.txt", "/c.txt", True, "/r.txt")]
    (row,) = in_file("flask==1", "/c.txt", constraint=True)
    assert row.constraint
    assert in_file("-r more.txt", "/c.txt", constraint=True)[0].constraint
    assert in_file("-r https://example.com/r.txt", "/r.txt") == [
        Include("https://example.com/r.txt", "", False, "/r.txt")
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["pip", "install", "flask"],
        ["pip install flask"],
        ["/srv/venv/bin/pip3.11", "--quiet", "install", "-U", "flask", "--index-url", "https://example.com"],
        ["python3", "-m", "pip", "install", "flask"],
        ["uv", "pip", "install", "flask"],
        ["sudo -u shop PIP_CACHE_DIR=/tmp pip install --target /srv/lib flask 2>&1 | tail > /tmp/log"],
        ["/bin/sh", "-c", "cd /srv && pip install flask"],
        ["make stop; (pip install flask); make start"],
        ["bash -c 'pip install flask'"],
        ["true\npip install \\\n  flask\ntrue"],
    ],
)
def test_pip_is_found_wherever_it_stands_in_a_command(words: list[str]) -> None:
    """A wrapper around it must not hide what it takes."""
    assert in_command(words, "/") == [Requirement("flask", "flask", exact=False)]


@pytest.mark.parametrize(
    "words", [["pip", "uninstall", "flask"], ["pip", "list"], ["make install"], [], [""], ["true"]]
)
def test_what_installs_nothing_asks_for_nothing(words: list[str]) -> None:
    """A guard that took every word for a package would be switched off."""
    assert in_command(words, "/") == []


def test_files_on_the_command_line_are_where_the_command_is_by_then() -> None:
    """`cd` stands before most of them."""
    assert in_command(["cd shop && pip install -r requirements.txt"], "/srv") == [
        Include("requirements.txt", "/srv/shop/requirements.txt", constraint=False)
    ]
    assert in_command(["pip", "install", "-r", "/etc/r.txt", "-cc.txt"], "/srv") == [
        Include("/etc/r.txt", "/etc/r.txt", constraint=False),
        Include("c.txt", "/srv/c.txt", constraint=True),
    ]


def test_a_comparison_that_a_shell_takes_for_a_redirection_is_one() -> None:
    """`pip install flask>=2` without quotes installs any flask, and writes a file named =2."""
    assert in_command(["pip install flask>=2"], "/") == [Requirement("flask", "flask", exact=False)]


@given(st.text(), st.lists(st.text(), max_size=4))
def test_whatever_stands_there_is_read_without_a_crash(text: str, words: list[str]) -> None:
    """Files and command lines are anybody's."""
    assert isinstance(in_file(text, "/r.txt"), list)
    assert isinstance(in_command(words, "/"), list)
    assert isinstance(in_command([f"pip install {text}"], "/"), list)
