"""The pictures in the documentation are what the program draws; run this file to draw them anew."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from backout.render.report import report, report_picture
from backout.render.screen import Screen

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "captures"
FIXTURE = ROOT / "tests" / "fixtures" / "forty-five-packages.json"
SMALL, LARGE = Screen(80, 24), Screen(120, 40)


def captures() -> dict[str, str]:
    """Draw every capture, by file name."""
    document = json.loads(FIXTURE.read_text())
    return {
        "surprise-80x24.txt": report(document, SMALL),
        "surprise-120x40.txt": report(document, LARGE),
        "surprise.svg": report_picture(document, Screen(96, 27), "backout rehearse"),
    }


@pytest.mark.parametrize("name", ["surprise-80x24.txt", "surprise-120x40.txt", "surprise.svg"])
def test_the_documentation_shows_what_is_drawn_today(name: str) -> None:
    """A picture of an older report would promise what is no longer there."""
    how = f"python {Path(__file__).relative_to(ROOT)} draws it anew"
    assert (FOLDER / name).read_text() == captures()[name], how


def test_the_picture_is_well_formed_and_asks_nobody_for_anything() -> None:
    """A README is opened by many; none of them should be seen by a font server."""
    picture = captures()["surprise.svg"]
    assert ET.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
    assert "http" not in picture.replace('xmlns="http://www.w3.org/2000/svg"', "")


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file_name, text in captures().items():
        (FOLDER / file_name).write_text(text)
