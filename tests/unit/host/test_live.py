"""Commands on the live host end in time, and with all that they started."""

from __future__ import annotations

from backout.host.live import run


def test_its_exit_code_and_the_end_of_its_output_are_told() -> None:
    """A backup that failed says why in its last lines; a password in them goes nowhere."""
    told = run("echo password=hunter2; echo no space; exit 3", 60)
    assert told["exit_code"] == 3
    assert told["output"].endswith("no space\n")
    assert "hunter2" not in told["output"]


def test_one_that_takes_too_long_is_ended() -> None:
    """A dump that waits for a lock would wait as long as the incident lasts."""
    told = run("echo begun; sleep 60 & wait", 0.2)
    assert told["exit_code"] == 124
    assert told["output"] == "begun\n"
    assert told["duration_s"] < 60
