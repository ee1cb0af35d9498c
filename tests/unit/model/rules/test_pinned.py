"""The rule pinned: which packages come from where somebody decided about them."""

from __future__ import annotations

from typing import Any

from backout.model.guard import Guard, Known
from backout.model.rules import judge, pinned, rule
from kit.values import effect

FLASK = effect("python-package:/srv/venv:flask", before="2.2.5", after="3.1.0")
CONF = effect("file:/srv/shop/gunicorn.conf.py")
FILE = "/srv/shop/requirements.txt"


def whats(known: Known, *requirements: str) -> list[str]:
    """What the guard says, without its name and its reason."""
    read = rule("pinned").KEYS["requirements"].read(list(requirements))
    told = judge(Guard("pinned", "pinned", "once", settings={"requirements": read}), known)
    return [reason.what.removeprefix("Guard pinned: ").partition(" It guards")[0] for reason in told]


def known(command: str = "make", texts: dict[str, str | None] | None = None, **fields: Any) -> Known:
    """A change of flask."""
    return Known(**{"effects": [FLASK], "command": [command], "cwd": "/srv/shop", "texts": texts or {}, **fields})


def test_a_requirement_on_the_command_line_must_name_one_version() -> None:
    """`pip install -U flask` takes whatever is there that day."""
    assert whats(known("pip install -U flask")) == ["1 requirement without == or a hash: flask."]
    assert whats(known("pip install flask==3.1.0")) == []


def test_a_requirements_file_is_read_as_the_change_leaves_it_with_what_it_includes() -> None:
    """The line that floats may stand in the third file."""
    texts: dict[str, str | None] = {FILE: "-r base.txt\n", "/srv/shop/base.txt": "flask>=2\n"}
    told = ["1 requirement without == or a hash: flask>=2 in /srv/shop/base.txt."]
    assert whats(known("pip install -r requirements.txt", texts)) == told
    assert whats(known("make", texts), FILE) == told
    assert whats(known("make", {FILE: "flask==3.1.0\n"}), FILE) == []


def test_the_files_that_it_needs_are_named_one_after_the_other() -> None:
    """What a file includes is only known when that was read."""
    one = Guard("pinned", "pinned", "once", settings={"requirements": (FILE,)})
    assert pinned.paths(one, known()) == {FILE}
    assert pinned.paths(one, known(texts={FILE: "-c constraints.txt"})) == {FILE, "/srv/shop/constraints.txt"}
    circle = {FILE: "-r requirements.txt\n-r other.txt", "/srv/shop/other.txt": "-r requirements.txt"}
    assert pinned.paths(one, known(texts=dict(circle))) == {FILE, "/srv/shop/other.txt"}


def test_a_constraint_pins_what_a_requirement_leaves_open_and_asks_for_nothing() -> None:
    """That is what constraints files are for (pip, "Constraints Files")."""
    texts: dict[str, str | None] = {"/srv/shop/c.txt": "flask==3.1.0\nunused>1\n"}
    assert whats(known("pip install -c c.txt flask", texts)) == []


def test_a_file_that_cannot_be_read_is_no_proof() -> None:
    """What cannot be judged is refused, by the name of the file."""
    assert whats(known(texts={FILE: None}), FILE)[0] == f"1 requirements file cannot be read: {FILE}."
    remote = whats(known("pip install -r https://example.com/r.txt"))
    assert remote[0] == "1 requirements file cannot be read: https://example.com/r.txt."


def test_packages_that_no_requirement_names_come_from_where_nothing_is_known_of() -> None:
    """A Puppet run that upgrades them says nothing of requirements; neither does a dependency that floats."""
    assert whats(known("puppet agent -t")) == ["1 package from where nothing is known of: flask 3.1.0."]
    jinja = FLASK._replace(subject="/srv/venv:jinja2", after="3.1")
    told = whats(known("pip install Flask==3.1.0", effects=[FLASK, jinja]))
    assert told == ["1 package from where nothing is known of: jinja2 3.1."]


def test_what_a_second_rehearsal_made_otherwise_is_not_pinned() -> None:
    """`--twice` shows what == does not hold: another wheel of one version."""
    other = FLASK._replace(reproducible=False)
    told = whats(known("pip install flask==3.1.0", effects=[other]))
    assert told == ["1 package made otherwise the second time: flask."]


def test_a_change_without_packages_is_not_its_business_unless_the_file_is_changed() -> None:
    """An old file that floats must not stop who sets a number of workers."""
    texts: dict[str, str | None] = {FILE: "flask\n"}
    assert whats(known(texts=texts, effects=[CONF]), FILE) == []
    assert whats(known(texts=texts, effects=[FLASK._replace(after=None)]), FILE) == []
    edited = effect(f"file:{FILE}", paths=(FILE.encode(),))
    assert whats(known(texts=texts, effects=[edited]), FILE) == [
        f"1 requirement without == or a hash: flask in {FILE}."
    ]
