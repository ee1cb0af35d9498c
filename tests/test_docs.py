"""The documentation says what the program is. Run this file to draw anew what is drawn from the code."""

from __future__ import annotations

import argparse
import inspect
import json
import re
import runpy
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
import shtab

from backout import errors
from backout.cli.parser import build
from backout.config.guards import GUARD_KEYS
from backout.config.incidents import AUDIENCE_KEYS, BACKUP_KEYS, MAIL_KEYS
from backout.config.parse import (
    CHECK_KEYS,
    COMMAND_KEYS,
    DIFFERS_KEYS,
    ENVIRONMENT_KEYS,
    REHEARSAL_KEYS,
    TOP_KEYS,
)
from backout.config.review import REVIEW_KEYS
from backout.config.search import SEARCH_KEYS
from backout.host import bounds, capabilities
from backout.lens.noise import rules
from backout.model import rules as guard_rules
from backout.model.effect import KINDS
from backout.render import change, guard, look, parity, proofs, rollout, search, split, tell
from backout.render.error import render_error
from backout.render.panic import Drawing
from backout.render.report import Wish, report
from backout.render.schemas import names
from backout.render.screen import Screen

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SAMPLES = ROOT / "tests" / "formats"
COMPLETION = ROOT / "completions" / "backout.bash"
SCREEN = Screen(80, 24)
NEWS = {"since": "2026-11-23T17:04:12+00:00", "counts": {"file": {"edited": 1}, "debian-package": {"edited": 3}}}
PAGES = sorted(path for path in (*ROOT.glob("*.md"), *DOCS.rglob("*.md")) if "_build" not in path.parts)

generate = runpy.run_path(str(DOCS / "generate.py"))
expand = generate["expand"]


def page(name: str) -> str:
    """A page of the documentation with its generated parts."""
    text: str = expand((DOCS / name).read_text())
    return text


def sample(name: str) -> dict[str, Any]:
    """A document as the program wrote it."""
    document: dict[str, Any] = json.loads((SAMPLES / name).read_text())
    return document


def captures() -> dict[str, str]:
    """What the guide shows, drawn from committed documents, by file name."""
    return {
        "rehearse.txt": report(sample("effects-1.json"), SCREEN),
        "run.txt": report(sample("applied-1.json"), SCREEN),
        "refused.txt": report(sample("refused-1.json"), SCREEN),
        "compared.txt": report(sample("compared-1.json"), SCREEN, Wish(zone=UTC)),
        "guarded.txt": report(sample("guarded-1.json"), SCREEN),
        "log.txt": change.log(sample("changes-1.json"), SCREEN, UTC),
        "conflict.txt": change.back(sample("conflict-1.json"), SCREEN),
        "fleet.txt": rollout.rehearsals(sample("rehearsals-1.json"), SCREEN),
        "rollout.txt": rollout.outcome(sample("rehearsals-1.json"), SCREEN),
        "unfinished.txt": render_error(sample("error-1.json"), SCREEN),
        "look.txt": look.block(sample("facts-1.json"), NEWS, SCREEN, UTC),
        "compare.txt": parity.parity(sample("parity-1.json"), SCREEN, zone=UTC),
        "drift.txt": parity.drift(sample("drift-1.json"), SCREEN, zone=UTC),
        "split.txt": split.split(
            sample("split-1.json"), SCREEN, f"backout run --change {sample('split-1.json')['rest']['change']}"
        ),
        "panic.txt": Drawing(SCREEN, sample("panic-1.json")["at"], UTC).first(sample("panic-1.json")),
        "tell-preview.txt": tell.preview(sample("tell-preview-1.json"), SCREEN),
        "told.txt": tell.outcome(sample("tell-1.json"), SCREEN, UTC),
        "guards.txt": guard.guards(sample("guards-1.json"), SCREEN),
        "candidates.txt": proofs.candidates(sample("candidates-1.json"), SCREEN),
        "proofs.txt": proofs.proofs(sample("proofs-1.json"), SCREEN),
        "guard-test.txt": guard.guard_test(sample("guard-test-1.json"), SCREEN, UTC),
        "search.txt": search.search(sample("search-1.json"), SCREEN, UTC),
        "recovered.txt": change.recovered(sample("recovered-1.json"), SCREEN),
    }


def completion() -> str:
    """The completion for bash, from the parser; files and folders are completed where one is asked for."""
    parser = build()
    for _, action in actions(parser):
        if action.metavar in ("FILE", "DIR"):
            action.complete = shtab.FILE if action.metavar == "FILE" else shtab.DIRECTORY  # type: ignore[attr-defined]
    text: str = shtab.complete(parser, shell="bash")
    return text


def verbs() -> dict[str, argparse.ArgumentParser]:
    """Every command by its name, such as `run` or `guard list`."""
    found: dict[str, argparse.ArgumentParser] = generate["verbs"](build())
    return found


def actions(parser: argparse.ArgumentParser) -> list[tuple[str, argparse.Action]]:
    """Every argument and option, with the command that takes it."""
    parsers = {"": parser, **generate["verbs"](parser)}
    kinds = (argparse._SubParsersAction, argparse._HelpAction)
    return [(name, action) for name, one in parsers.items() for action in one._actions if not isinstance(action, kinds)]


def guide() -> str:
    """All that is written by hand for people who use the program."""
    return "\n".join(path.read_text() for path in sorted((DOCS / "guide").glob("*.md")))


@pytest.mark.parametrize("name", sorted(verbs()))
def test_every_command_has_its_place_in_guide_and_reference(name: str) -> None:
    """A command that nobody can read about is one that nobody uses."""
    assert re.search(rf"backout {name}\b|`{name}`", guide())
    assert f"## backout {name}\n" in page("reference/commands.md")


@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name, action in actions(build()) for option in action.option_strings]
)
def test_every_option_says_what_it_does(name: str, option: str) -> None:
    """The reference is written from the parser: an option without help would be an empty row in it."""
    parser = verbs()[name] if name else build()
    action = next(action for action in parser._actions if option in action.option_strings)
    assert action.help
    assert re.search(rf"`{re.escape(option)}[` ]", page("reference/commands.md"))


def test_every_key_of_the_configuration_is_told() -> None:
    """A key that is read and not told can only be found in the source."""
    reference = page("reference/config.md")
    keys = {*TOP_KEYS, *ENVIRONMENT_KEYS, *CHECK_KEYS, *REHEARSAL_KEYS, *COMMAND_KEYS, *DIFFERS_KEYS, *GUARD_KEYS}
    keys |= {*AUDIENCE_KEYS, *MAIL_KEYS, *BACKUP_KEYS, *SEARCH_KEYS, *REVIEW_KEYS}
    assert [key for key in sorted(keys) if f"| `{key}` |" not in reference] == []
    assert [rule for rule in guard_rules.names() if f"| `{rule}` |" not in reference] == []
    own = {key for rule in guard_rules.names() for key in guard_rules.rule(rule).KEYS}
    assert [key for key in sorted(own) if f"`{key}`: " not in reference] == []


def test_every_exit_code_of_an_error_is_told() -> None:
    """Scripts act on them."""
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.BackoutError)]
    codes = {0, 4, *(kind.exit_code for kind in kinds)}
    reference = page("reference/exit-codes.md")
    assert [code for code in sorted(codes) if f"| {code} | " not in reference] == []


def test_every_kind_every_noise_rule_and_every_document_is_told() -> None:
    """The reference must not fall behind the model, the rules or the schemas."""
    selectors, noise, documents = (page(f"reference/{name}.md") for name in ("selectors", "noise", "documents"))
    assert [kind for kind in KINDS if f"| `{kind}` |" not in selectors] == []
    assert [rule.name for rule in rules() if f"| `{rule.name}` |" not in noise] == []
    assert [name for name in names() if f"## {name}\n" not in documents] == []


def test_nothing_in_the_reference_is_left_to_be_generated() -> None:
    """A misspelt name of a generated part would stand in the page as a comment that nobody sees."""
    assert [path for path in PAGES if re.search(r"^% (generated|from)", page(str(path)), re.MULTILINE)] == []


@pytest.mark.parametrize("name", sorted(captures()))
def test_the_guide_shows_what_is_drawn_today(name: str) -> None:
    """A picture of an older screen would promise what is no longer there."""
    assert (DOCS / "captures" / name).read_text() == captures()[name], "python tests/test_docs.py draws it anew"


def test_the_readme_shows_the_report_that_is_drawn_today() -> None:
    """It is the first thing that people see; it must not be made up."""
    drawn = (DOCS / "captures" / "surprise-80x24.txt").read_text()
    assert f"```text\n{drawn}```" in (ROOT / "README.md").read_text()


def test_the_completion_knows_the_parser_of_today() -> None:
    """It is made at build time, so that pressing Tab starts no program."""
    assert COMPLETION.read_text() == completion(), "python tests/test_docs.py makes it anew"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_inside_the_documentation_leads_somewhere(path: Path) -> None:
    """The build finds broken links between its pages; this finds those of the pages that are read in the checkout."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    broken = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert broken == []


def test_the_line_of_the_sandbox_is_told_as_it_is_drawn() -> None:
    """Who reads which rights a command keeps, and when it is ended, decides by it what to rehearse."""
    text = (ROOT / "SECURITY.md").read_text()
    rows = [f"| `{name}` | {who} |" for name, who in capabilities.NEEDED.items()]
    assert [row for row in rows if row not in text] == []
    assert f"more than {bounds.MOST_TASKS} processes and threads" in text


if __name__ == "__main__":
    for file_name, drawing in captures().items():
        (DOCS / "captures" / file_name).write_text(drawing)
    COMPLETION.parent.mkdir(exist_ok=True)
    COMPLETION.write_text(completion())
