"""How the documentation is built: `./run docs`, where every warning is an error."""

import runpy
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from backout import __version__

project = "backout"
author = "the backout authors"
release = __version__
extensions = ["myst_parser"]
html_theme = "furo"
exclude_patterns = ["_build"]
myst_heading_anchors = 3

_expand = runpy.run_path(str(Path(__file__).with_name("generate.py")))["expand"]


def _generate(_app: Sphinx, _page: str, source: list[str]) -> None:
    source[0] = _expand(source[0])


def _all_pages(_app: Sphinx, environment: BuildEnvironment, *_: set[str]) -> set[str]:
    """Read every page each time: what they are written from lies outside this folder."""
    return set(environment.found_docs)


def setup(app: Sphinx) -> None:
    """Write the generated parts into each page as it is read."""
    app.connect("source-read", _generate)
    app.connect("env-get-outdated", _all_pages)
