"""What a rollout wanted is read back as it was; what no record keeps has to be given again."""

from __future__ import annotations

from typing import Any

import pytest

from backout.errors import UsageError
from backout.flow.rehearse import Wanted
from backout.flow.resume import wanted_again, wish
from backout.model.rollout import ROLLOUT
from backout.model.selector import parse_selector

ID = "20261123-170412-kfd"
WANTED = Wanted(
    ("sh", "-c", "true"),
    cwd=None,
    environ=None,
    expect=(parse_selector("file:/srv/*"),),
    network="none",
    network_allow=("git.example.com:443",),
    timeout_s=90.0,
    ok_exit=(0, 2),
    allow_failure=True,
    why="more load",
    after="true",
)
NOTHING = Wanted((), None, None)


def recorded(wanted: Wanted) -> dict[str, Any]:
    """Give the wish as it is recorded; what is recorded is what can be read."""
    found = wish(ID, wanted, digest="sha256:00", hosts=["web1", "web2"], odd={"web2"}, planned=[("web1",), ("web2",)])
    assert ROLLOUT(found)
    return found


def test_what_was_wanted_is_wanted_again_and_only_the_same_effects() -> None:
    """Whoever goes on may not have been there: nothing of it may hang on their own options."""
    again = wanted_again(recorded(WANTED), NOTHING, "production")
    assert again == WANTED._replace(accept="sha256:00")
    why = wanted_again(recorded(WANTED), NOTHING._replace(why="going on"), "production").why
    assert why == "going on"


def test_a_secret_is_in_no_record_and_has_to_be_given_again() -> None:
    """The command with a mask in it must never be run."""
    secret = WANTED._replace(argv=("deploy", "--token", "hunter2hunter2"), why="new password=hunter2hunter2")
    found = recorded(secret)
    assert "hunter2" not in str(found)
    with pytest.raises(UsageError, match="looks like a secret") as error:
        wanted_again(found, NOTHING, "production")
    assert error.value.next == f"Give the command as it was: backout run -e production --resume {ID} -- CMD…"
    assert wanted_again(found, NOTHING._replace(argv=secret.argv), "production").argv == secret.argv


def test_another_command_is_no_resume() -> None:
    """The digest would refuse it on every host; this says why at once."""
    with pytest.raises(UsageError, match="That is not the command of rollout"):
        wanted_again(recorded(WANTED), NOTHING._replace(argv=("false",)), "production")
