"""Rehearsals of several hosts are judged together."""

from __future__ import annotations

from typing import Any

from backout.errors import BackoutError, FailedError
from backout.flow.alike import Judged, judged
from backout.flow.rehearse import Measured
from backout.model.verdict import ALLOW, ASK, REFUSE, Reason, Verdict


def measured(digest: str, decision: str = ASK, *, failed: int | None = None, idle: bool = False) -> Measured:
    """Give what a host measured."""
    verdict = Verdict(decision, (Reason("because"),))
    document: dict[str, Any] = {
        "digest": digest,
        "exit_code": failed or 0,
        "cwd": "/root",
        "duration_s": 0.1,
        "effects": [],
        "noise": [],
        "limits": [f"limit of {digest}"],
        "checks": [],
        "verdict": verdict.document(),
    }
    return Measured("change", document, verdict, failed, (), idle)


def going(found: Judged) -> list[str]:
    """Name the hosts that may go."""
    return [host for host in found.measured if found.goes(host)]


def test_an_odd_host_is_refused_unless_named_and_the_norm_comes_first() -> None:
    """What differs was not meant, as long as nobody says so."""
    results = {"web1": measured("odd"), "web2": measured("x"), "web3": measured("x")}
    found = judged(dict(results), {}, None, ())
    assert (going(found), found.digest) == (["web2", "web3"], "x")
    first, second = found.groups()
    assert (first["hosts"], second["hosts"], second["verdict"]["decision"]) == (["web2", "web3"], ["web1"], REFUSE)
    assert second["verdict"]["reasons"][0]["next"] == "Mend it; to apply it there all the same: --odd web1"
    results["web1"] = measured("odd")
    assert going(judged(results, {}, None, {"web1"})) == ["web1", "web2", "web3"]


def test_what_was_accepted_is_what_is_meant() -> None:
    """On a resume the recorded digest, also when by now more hosts are otherwise."""
    results = {"web1": measured("x", ALLOW), "web2": measured("y", REFUSE), "web3": measured("y", REFUSE)}
    found = judged(dict(results), {}, "x", ())
    assert (going(found), found.groups()[0]["digest"]) == (["web1"], "x")
    assert "differs from the host that is meant" in found.measured["web2"].verdict.reasons[0].what
    nowhere = judged({"web2": measured("y", REFUSE)}, {}, "x", ())
    assert nowhere.measured["web2"].verdict.reasons[0].what == "because"


def test_a_host_that_fails_or_is_refused_alone_is_left_out_and_the_rest_goes_on() -> None:
    """One full disk must not stop thirty-seven others, nor hide among them."""
    results: dict[str, Measured | BackoutError] = {
        "web1": measured("x"),
        "web2": measured("x", REFUSE),
        "web3": measured("half", REFUSE, failed=1),
        "web4": FailedError("The link was cut."),
        "web5": measured("x", idle=True),
    }
    found = judged(results, {"web6": FailedError("It was not reached.")}, None, ())
    assert (going(found), sorted(found.idle)) == (["web1"], ["web5"])
    codes = {host: error.exit_code for host, error in found.failed.items()}
    assert codes == {"web2": 3, "web3": 1, "web4": 1, "web6": 1}
    assert [group["hosts"] for group in found.groups()] == [["web1", "web5"]]


def test_a_group_that_is_refused_whole_is_told_as_a_group() -> None:
    """Thirty-eight times the same sentence is read by nobody."""
    found = judged({"web1": measured("x", REFUSE), "web2": measured("x", REFUSE)}, {}, None, ())
    (group,) = found.groups()
    assert (found.failed, going(found), group["verdict"]["decision"]) == ({}, [], REFUSE)
