"""What each act claims, as values: a sentence, and whether it came true. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from backout.drill.samples import Seen

APPLIED, REFUSED, BACKED_OUT = 0, 3, 4
"""Exit codes of the command line (design, section 3)."""

SETTING = "gunicorn.conf.py"

_ROUNDED_S = 2.0
"""By so much is a downtime off whose clocks are set to the second."""

ENDED = "backout ended"
"""The event in what the requests saw."""


class Claim(NamedTuple):
    """One thing that an act is to show, and whether it did."""

    says: str
    holds: bool


class Act(NamedTuple):
    """One act that was played: what was typed, how it ended, what the requests saw, what it claims.

    `surprises` are the effects that nobody had expected, `parts` what was found to break the shop, for people to read;
    `change` is what the act is recorded as, `letter` what the client was written at the end.
    """

    title: str
    command: str
    exit_code: int
    seen: Seen
    claims: tuple[Claim, ...]
    surprises: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    change: str | None = None
    letter: str = ""

    @property
    def untrue(self) -> tuple[str, ...]:
        """The claims that did not come true."""
        return tuple(claim.says for claim in self.claims if not claim.holds)


class Outage(NamedTuple):
    """What is known of what happened: the change, and when the shop answered nobody (seconds since the epoch, UTC)."""

    change: str
    begun_at: float
    ended_at: float

    @property
    def lasted_s(self) -> float:
        """Give how long it was."""
        return self.ended_at - self.begun_at


def of_the_dry_run(output: str) -> tuple[Claim, ...]:
    """Judge what `puppet apply --noop` printed: it names the exec, and cannot know what the exec would do."""
    return (
        Claim("the dry run says no more than that the exec would have run", "current_value 'notrun'" in output),
        Claim("the dry run names no package", "setuptools" not in output and "flask" not in output),
    )


def of_staging(before: Sequence[str], after: Sequence[str], *, answers: bool) -> tuple[Claim, ...]:
    """Judge the rehearsal that people had: the same change on a staging that is not the same."""
    return (
        Claim("on staging the change moved no package", list(before) == list(after)),
        Claim("staging answers after it", answers),
    )


def of_the_bare_way(exit_code: int, ok: Sequence[int], seen: Seen, log: str) -> tuple[Claim, ...]:
    """Judge the change made without backout: it says that all is well, and the site is down."""
    return (
        Claim("the command says that all went well", exit_code in ok),
        Claim("the site went down", seen.failed > 0 and seen.downtime_s > 0),
        Claim("because pkg_resources is gone", "No module named 'pkg_resources'" in log),
        Claim("and was up again after the virtualenv was built anew", bool(seen.samples) and seen.samples[-1].ok),
    )


def of_the_refusal(
    exit_code: int, effects: Sequence[dict[str, Any]], seen: Seen, *, untouched: bool
) -> tuple[Claim, ...]:
    """Judge the same command through backout, with only the setting expected."""
    packages = {
        e["subject"].rpartition(":")[2] for e in effects if e["kind"] == "python-package" and e["expected"] is False
    }
    settings = [e for e in effects if e["subject"].partition("#")[0].endswith(SETTING)]
    return (
        Claim(f"backout refused (exit {REFUSED})", exit_code == REFUSED),
        Claim("it named setuptools and flask among the surprises", {"setuptools", "flask"} <= packages),
        Claim("the setting itself was no surprise", bool(settings) and all(e["expected"] is True for e in settings)),
        Claim("not one request failed", seen.total > 0 and seen.failed == 0),
        Claim("production is byte for byte what it was", untouched),
    )


def of_the_rescue(
    exit_code: int, checks: Sequence[dict[str, Any]], seen: Seen, *, untouched: bool
) -> tuple[Claim, ...]:
    """Judge the forced change, whose harm only shows when it is live."""
    where = {(check["where"], check["result"]) for check in checks}
    return (
        Claim(f"backout applied it, and backed out by itself (exit {BACKED_OUT})", exit_code == BACKED_OUT),
        Claim("nothing turned red in the rehearsal", ("rehearsal", "unhealthy") not in where),
        Claim("the live check turned red after the change", ("after", "unhealthy") in where),
        Claim("the site went down", seen.failed > 0),
        Claim("it was up again when backout said so, and stayed up", seen.failed_since(ENDED) == 0),
        Claim("production is byte for byte what it was", untouched),
    )


def of_the_incident(
    panic: dict[str, Any], calm: dict[str, Any], subjects: Sequence[str], outage: Outage, letter: str
) -> tuple[Claim, ...]:
    """Judge what people did about it; `subjects` are those of the mails that came, `letter` is the text of the last."""
    states = [subject.partition("]")[0].removeprefix("[") for subject in subjects]
    told_s = next((row["seconds"] for row in calm["downtime"] if row["audience"] is not None), 0.0)
    return (
        Claim("panic names the change that did it", outage.change in [row["id"] for row in panic["changes"]]),
        Claim("the checks say that it is over", calm["by"] == "checks"),
        Claim("the client had a first word, a last one and a letter", states == ["investigating", *["resolved"] * 2]),
        Claim("it is known how long they were down", abs(told_s - outage.lasted_s) < _ROUNDED_S),
        Claim("the letter says so, and what was lost", "How long:" in letter and "Data lost: none" in letter),
        Claim("it promises nothing that is not known yet", "Not known yet; we review on" in letter),
    )


def of_the_split(
    found: Sequence[str], exit_code: int, effects: Sequence[dict[str, Any]], seen: Seen, at_last: tuple[str, str]
) -> tuple[Claim, ...]:
    """Judge the change without its guilty part; `at_last` are the flask that is there, and the one that answers."""
    packages = {e["subject"].rpartition(":")[2]: e["after"] for e in effects if e["kind"] == "python-package"}
    there, answers = at_last
    return (
        Claim("the part that breaks the shop is setuptools alone", len(found) == 1 and _is_setuptools(found[0])),
        Claim("the rest has flask, and not setuptools", "flask" in packages and "setuptools" not in packages),
        Claim("the setting is in it, too", any(e["subject"].partition("#")[0].endswith(SETTING) for e in effects)),
        Claim(f"the rest was applied (exit {APPLIED})", exit_code == APPLIED),
        Claim("not one request failed", seen.total > 0 and seen.failed == 0),
        Claim("the shop answers on the new flask", there == answers == packages.get("flask")),
    )


def of_the_review(proposed: dict[str, Any], closed: dict[str, Any], letter: str) -> tuple[Claim, ...]:
    """Judge what was learned: the guard that is proposed first, its proof, and what the client hears of it."""
    best, proof = proposed["candidates"][0], proposed["proof"] or {}
    stops_setuptools = best["rule"] == "max-jump" and "setuptools" in str(best["table"])
    return (
        Claim("the guard that is proposed first keeps setuptools from moving", stops_setuptools),
        Claim("it is proven: it refuses the forced change, and lets the rest through", proof.get("result") == "held"),
        Claim("the review is closed", closed["state"] == "closed"),
        Claim("the letter says how it cannot happen again", "Can it happen again: No: setuptools" in letter),
    )


def of_a_week_later(
    exit_code: int, guards: Sequence[dict[str, Any]], guard: str, seen: Seen, *, untouched: bool
) -> tuple[Claim, ...]:
    """Judge the same command once more, when nobody thinks of it any longer; `guards` are those that said something."""
    refusing = [row["name"] for row in guards if row["outcome"] == "refused"]
    return (
        Claim(f"a week later the same command is refused (exit {REFUSED})", exit_code == REFUSED),
        Claim("by the guard that was proven", guard in refusing),
        Claim("not one request failed", seen.total > 0 and seen.failed == 0),
        Claim("production is byte for byte what it was", untouched),
    )


def _is_setuptools(part: str) -> bool:
    """Tell whether a part is that package and nothing else."""
    return " and " not in part and part.startswith("python-package:") and part.partition(" ")[0].endswith(":setuptools")


def parts(found: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Name the parts that break a change, each as its atoms."""
    return tuple(" and ".join(_named(atom) for atom in part["atoms"]) for part in found)


def surprises(effects: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Name the effects that nobody expected, with the versions of packages."""
    return tuple(_named(effect) for effect in effects if effect["expected"] is False)


def _named(effect: dict[str, Any]) -> str:
    name = f"{effect['kind']}:{effect['subject']}"
    if effect["kind"] != "python-package":
        return f"{name} ({effect['op']})" if "op" in effect else name
    return f"{name} {effect['before'] or 'none'} -> {effect['after'] or 'none'}"
