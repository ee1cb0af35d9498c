"""The answer of a split is a sentence that a person can read out on the phone, and the next command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backout.render.screen import Screen
from backout.render.split import split

SAMPLE = Path(__file__).parents[2] / "formats" / "split-1.json"
SCREEN = Screen(80, 24)
GONE = "Traceback (most recent call last):\nModuleNotFoundError: No module named 'pkg_resources'\n"


@pytest.fixture
def document() -> dict[str, Any]:
    """Give a fresh copy of the recorded document."""
    loaded: dict[str, Any] = json.loads(SAMPLE.read_text())
    return loaded


def atom(kind: str, subject: str, before: object, after: object, **more: object) -> dict[str, Any]:
    """One atom."""
    return {"kind": kind, "subject": subject, "before": before, "after": after, "effects": [0], "paths": 1, **more}


def answer(document: dict[str, Any], *atoms: dict[str, Any], output: str = GONE, screen: Screen = SCREEN) -> str:
    """Draw the sentence about a part of these atoms, on one line."""
    document["parts"] = [{"atoms": list(atoms), "check": "imports", "output": output, "smallest": True}]
    return " ".join(split(document, screen).partition("\n\n")[0].split())


def test_the_answer_comes_first_and_the_next_command_last(document: dict[str, Any]) -> None:
    """At 80 columns, with what is ready in between."""
    lines = split(document, SCREEN, "backout run --change ID").splitlines()
    assert lines[0].startswith('setuptools 65.5.0 → 84.0.0 in /srv/shop/venv breaks check "imports": No module')
    assert "1 file, 1 setting and 2 Python packages pass the checks: ready as" in lines[4]
    assert lines[-1] == "Next       backout run --change ID"
    assert max(map(len, lines)) <= 80


FILE = {"type": "file", "mode": "0644"}


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (atom("python-package", "/srv/venv:flask", None, "3.0"), "flask 3.0 (new) in /srv/venv"),
        (atom("python-package", "/srv/venv:flask", "2.0", None), "flask 2.0 (removed) in /srv/venv"),
        (atom("python-package", "/srv/venv:flask", "2.0", "2.0"), "flask 2.0 (other files) in /srv/venv"),
        (atom("debian-package", "nginx", "1.22", "1.26"), "nginx 1.22 → 1.26"),
        (atom("config", "/srv/app.ini#web.workers", 2, 4), "web.workers 2 → 4 in /srv/app.ini"),
        (atom("file", "/srv/a b", None, FILE), "/srv/a b (new)"),
        (atom("file", "/srv/a", FILE, {**FILE, "mode": "0600"}), "/srv/a (edited)"),
        (atom("service", "shop.service", {}, {"requests": ["restart"]}), "shop.service (restart)"),
        (atom("user", "deploy", None, {"uid": 1}), "user deploy (new)"),
        (atom("noise", "", None, None, effects=[], paths=12), "what noise rules fold away (12 paths)"),
        (atom("user", "deploy", None, {}, effects=[1, 2]), "user deploy (new) (with 1 effect of the same paths)"),
    ],
)
def test_every_kind_of_atom_has_its_words(document: dict[str, Any], one: dict[str, Any], words: str) -> None:
    """A person must know what to leave out, whatever it is."""
    assert answer(document, one) == f"{words} breaks check \"imports\": No module named 'pkg_resources'"


def test_what_only_breaks_together_is_told_together(document: dict[str, Any]) -> None:
    """Packages of one place in one breath; of very many, how many more."""
    flask, jinja = (atom("python-package", f"/srv/venv:{name}", "2", "3") for name in ("flask", "jinja2"))
    workers = atom("config", "/srv/app.ini#workers", 2, 4)
    told = answer(document, flask, workers, jinja, output="refused\n")
    packages = "flask 2 → 3 and jinja2 2 → 3 in /srv/venv"
    assert told == f'{packages} and workers 2 → 4 in /srv/app.ini together break check "imports": refused'
    many = [atom("file", f"/srv/{n}", None, FILE) for n in range(2000)]
    assert "/srv/7 (new) and 1,992 more (--json lists all) together break" in answer(document, *many)


def test_what_was_not_narrowed_to_its_end_says_so(document: dict[str, Any]) -> None:
    """It is among these; to say that they break it together would be a guess."""
    document["parts"][0]["smallest"] = False
    assert split(document, SCREEN).startswith("Among setuptools 65.5.0 → 84.0.0 in /srv/shop/venv is what breaks check")


def test_a_change_that_stands_is_told_what_is_taken_out(document: dict[str, Any]) -> None:
    """There the ready change does the opposite of what was broken."""
    document["rest"].update(stands=True, counts={"python-package": 1})
    assert "it takes out 1 Python package" in " ".join(split(document, SCREEN).split())


def test_two_answers_are_shown_side_by_side(document: dict[str, Any]) -> None:
    """Whoever mends the check needs both."""
    said = [{"result": "healthy", "output": ""}, {"result": "unhealthy", "output": GONE}]
    document.update(parts=[], rest=None, flaky=[{"check": "imports", "said": said}])
    text = split(document, SCREEN)
    assert text.splitlines()[1:3] == ["  healthy", "  unhealthy  ModuleNotFoundError: No module named 'pkg_resources'"]
    assert "Rest" not in text


def test_nothing_that_a_terminal_obeys_is_drawn_and_ascii_is_enough(document: dict[str, Any]) -> None:
    """Names and outputs are the host's."""
    evil = atom("file", "/srv/\x1b[2Jx\n", None, FILE)
    assert "\x1b" not in answer(document, evil, output="\x1b]0;title\x07bad\n")
    assert answer(document, atom("debian-package", "nginx", "1", "2"), screen=Screen(80, 24, unicode=False)).isascii()
