"""The published schemas are the contract with every program that reads --json."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from backout.errors import FailedError, InterruptedError, NotPossibleError, RefusedError, UsageError
from backout.model.effect import Effect, Noise, RawEffect, file_effect
from backout.model.state import State
from backout.model.verdict import ASK, Reason, Verdict
from backout.render.schemas import names, schema

OPTIONAL = {
    "backout.changes/1": {"owed"},
    "backout.effects/1": {"compared", "guards"},
    "backout.incident/1": {"recurrences"},
    "backout.review/1": {"drafts"},
}
"""Fields that are not always there: `compared` where there is a `same_as`, `guards` where one had something to say,
`recurrences` where an earlier incident said the same, `owed` where something that a review promised is overdue,
`drafts` where a review that was closed owes somebody a letter."""


def validate(document: dict[str, Any]) -> None:
    """Hold a document against the schema that it names."""
    Draft202012Validator(schema(document["schema"])).validate(document)


@pytest.mark.parametrize("name", names())
def test_each_schema_is_one_and_names_its_document(name: str) -> None:
    """A schema with a mistake in it accepts anything."""
    loaded = schema(name)
    Draft202012Validator.check_schema(loaded)
    assert loaded["properties"]["schema"] == {"const": name}
    assert loaded["additionalProperties"] is False
    assert set(loaded["required"]) == set(loaded["properties"]) - OPTIONAL.get(name, set())


def test_every_document_that_the_commands_give_has_a_schema() -> None:
    """A document without one is a promise that nobody can hold us to."""
    assert names() == [
        f"backout.{word}/1"
        for word in (
            "back",
            "calm",
            "candidates",
            "changes",
            "do",
            "doctor",
            "drift",
            "drill",
            "effects",
            "entry",
            "error",
            "facts",
            "gc",
            "guard-test",
            "guards",
            "hosts",
            "imported",
            "incident",
            "incidents",
            "init",
            "looks",
            "note",
            "panic",
            "parity",
            "proofs",
            "recovered",
            "rehearsals",
            "review",
            "search",
            "split",
            "tell",
        )
    ]


def test_an_unknown_document_is_named_with_those_that_are_known() -> None:
    """The schema is found by what a document says it is; a newer one must not look like a crash."""
    with pytest.raises(UsageError, match=r"'backout\.effects/9' is no document.*backout\.effects/1"):
        schema("backout.effects/9")


def test_the_committed_story_is_a_valid_document(surprise: dict[str, Any]) -> None:
    """The captures would otherwise show something that no run can give."""
    validate(surprise)


def test_what_the_model_gives_is_valid(surprise: dict[str, Any]) -> None:
    """The schema describes the model's own documents, devices and strange bytes included."""
    states = [
        State("file", 0o644, 0, 0, 3, "a" * 64, xattrs=((b"user.x", b"\xff"),)),
        State("symlink", 0o777, 0, 0, target=b"/tmp/\xff"),
        State("char", 0o600, 0, 0, rdev=(1, 3)),
        State("dir", 0o4755, 0, 0),
    ]
    effects = [file_effect(RawEffect(b"/tmp/\xff", None, state)) for state in states]
    effects += [
        Effect("python-package", "/srv/venv:flask", "edited", "2.2.5", "3.1.3", content="sha256:" + "0" * 64),
        Effect("service", "shop.service", "requested", None, {"requests": ["restart"]}, predicted=True, expected=True),
        Effect("config", "/etc/x#y", "added", None, True, diff="+y = true\n"),
    ]
    surprise["effects"] = [effect.document() for effect in effects]
    surprise["noise"] = [Noise("logs", b"/var/log/x", "edited", "append").document()]
    surprise["verdict"] = Verdict(ASK, (Reason("Nothing was expected."),)).document()
    validate(surprise)


@pytest.mark.parametrize("kind", [FailedError, UsageError, RefusedError, NotPossibleError, InterruptedError])
def test_every_error_is_a_valid_document(kind: type[FailedError]) -> None:
    """A script must be able to read a failure as well as a success."""
    validate(kind("It did not work.", next="Try the other way.").document())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("digest",), "sha256:short"),
        (("started_at",), "yesterday"),
        (("command",), "puppet apply"),
        (("verdict", "decision"), "maybe"),
        (("effects", 0, "op"), "changed"),
        (("effects", 0, "expected"), "yes"),
        (("effects", 0, "unheard_of"), 1),
        (("effects", 45, "before", "mode"), 420),
        (("effects", 0, "after"), {"version": "1"}),
        (("checks", 0, "where"), "during"),
        (("unheard_of",), 1),
    ],
)
def test_what_the_contract_does_not_allow_is_refused(
    surprise: dict[str, Any], path: tuple[str | int, ...], value: object
) -> None:
    """A schema that lets mistakes through would be believed all the same."""
    surprise["effects"].sort(key=lambda effect: effect["kind"], reverse=True)
    place: Any = surprise
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ValidationError):
        validate(surprise)


def test_neither_json_nor_an_error_waits_for_the_drawing_library() -> None:
    """`rich` takes a tenth of a second to import; scripts call --json in loops."""
    rooms = "backout.render.schemas, backout.render.error, backout.render.screen, backout.render.progress"
    code = f"import {rooms}, sys; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
