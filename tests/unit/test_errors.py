"""Errors: each knows its exit code, the state of the host, and the next command (law 7)."""

from __future__ import annotations

import json

import pytest

from backout import errors
from backout.errors import BackoutError, ConfigError, FailedError, UsageError, from_document

CODES = {
    "FailedError": 1,
    "UsageError": 2,
    "ConfigError": 2,
    "RefusedError": 3,
    "NeedsPersonError": 5,
    "ConflictError": 6,
    "NotPossibleError": 7,
    "InterruptedError": 130,
}
"""The contract of the command line (design, section 3); 0 and 4 are no errors."""
KINDS = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and kind.__mro__[1] is BackoutError
}


def test_each_error_has_the_exit_code_of_the_contract() -> None:
    """Scripts and CI jobs branch on these numbers. A new error is added here on purpose."""
    assert {name: kind("what").exit_code for name, kind in KINDS.items()} == CODES


def test_an_error_says_that_nothing_was_changed_unless_it_knows_better() -> None:
    """What a person who reads an error asks first is what state the server is in now."""
    assert BackoutError("what").document() == {
        "schema": "backout.error/1",
        "exit_code": 1,
        "what": "what",
        "state": "Nothing was changed.",
        "next": "",
    }
    assert str(BackoutError("what")) == "what"


@pytest.mark.parametrize("name", sorted(set(CODES) - {"ConfigError"}))
def test_an_error_comes_over_the_wire_as_what_it_was(name: str) -> None:
    """The host half decides what went wrong; the controller must end with that very code and those words."""
    error = KINDS[name]("what", state="half done", next="backout recover")
    back = from_document(json.loads(json.dumps(error.document())))
    assert type(back) is KINDS[name]
    assert back.document() == error.document()


def test_a_wrong_config_keeps_its_code_over_the_wire() -> None:
    """It shares the code 2 with wrong usage, and to a script that is what it is."""
    back = from_document(ConfigError("what").document())
    assert (type(back), back.exit_code) == (UsageError, 2)


@pytest.mark.parametrize("document", [{"exit_code": 99}, {}, {"exit_code": None}])
def test_an_error_of_a_code_unknown_here_is_a_failure(document: dict[str, object]) -> None:
    """Whatever a newer host half says went wrong, it must not end as a success or a traceback."""
    back = from_document({**document, "what": "a", "state": "b", "next": "c"})
    assert (type(back), back.exit_code, back.what, back.state, back.next) == (FailedError, 1, "a", "b", "c")


def test_what_was_shown_or_in_conflict_is_of_one_error_alone() -> None:
    """Both start from the class: one error that was told already must not silence the next."""
    first = errors.ConflictError("first")
    first.shown, first.conflicts = True, ({"path": "/a"},)
    second = errors.ConflictError("second")
    assert (second.shown, second.conflicts) == (False, ())
