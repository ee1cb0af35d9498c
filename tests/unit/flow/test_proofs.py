"""What proves is found on record, kept there, and turns red there: with a journal, and no host that answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from backout.config.find import tables
from backout.config.parse import parse
from backout.config.writing import table
from backout.errors import RefusedError, UsageError
from backout.flow import documents
from backout.flow.proofs import HELD, NOT_PROVEN, NOT_TOLD, RED, Between, again, exit_code, prove, wanted
from backout.flow.propose import document, propose
from backout.flow.prover import Prover, known
from backout.flow.replay import Setting
from backout.model.proof import CHECK, COMMAND, GUARD, PROOF
from backout.model.review import REVIEW
from kit.cli import validate
from kit.incident import ID, Told

AT = 1_000_000.0
HOSTS = '[environments.staging]\nhosts = ["web2"]\n[environments.production]\nhosts = ["web1"]\n'
SETUPTOOLS, FLASK = ("setuptools", "65.5.0", "84.0.0"), ("flask", "2.2.5", "3.1.0")
STAYS = {"name": "stays", "rule": "max-jump", "why": "so", "what": ["python-package:setuptools"], "incident": ID}
ENDS = {"kept": ("prepared", "applied", "kept"), "out": ("prepared", "applied", "undone"), "refused": ("refused",)}


class Site(Told):
    """An incident, and changes of packages around it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "journal.db", AT)
        self.file = folder / "backout.toml"

    def made(self, name: str, at: float, end: str, *moved: tuple[str, str, str], **body: Any) -> None:
        """Let a ledger tell of a change, and the journal of what it did; with nothing moved, of that nothing."""
        words = body.pop("command", ["pip", "install", name])
        told = {"environment": "production", "digest": name, "command": words, "expect": [], **body}
        row = {"format": 1, "host": "web1", "change": name, "prev": ""}
        kinds = ENDS[end]
        self.journal.learn(
            {**row, "seq": int(AT + at) + n, "kind": kind, "at": AT + at + n / 10, "body": told if n == 0 else {}}
            for n, kind in enumerate(kinds)
        )
        rows = [
            {"kind": "python-package", "subject": f"/venv:{one}", "op": "edited", "before": was, "after": now}
            for one, was, now in moved
        ]
        started = datetime.fromtimestamp(AT, UTC).isoformat()
        if moved:
            documents.keep(
                self.journal,
                {
                    "host": "web1",
                    "change": name,
                    "started_at": started,
                    "effects": [{**one, "content": None} for one in rows],
                },
            )

    def prover(self, *guards: dict[str, Any], more: str = "") -> Prover:
        """Read the record, with these guards in backout.toml."""
        self.file.write_text(HOSTS + more + "".join(table("guards", one) for one in guards))
        config = parse(self.file.read_text(), str(self.file))
        on_record = known(self.journal, tables(str(self.file), "guards"))
        setting = Setting(config.guards, config, self.journal, [], config.folder)
        return Prover(setting, on_record, lambda _: None, None)

    def proven(self, *guards: dict[str, Any], more: str = "", sort: str = GUARD, name: str = "stays") -> dict[str, Any]:
        """Try one, record it, and give what is told of it."""
        prover = self.prover(*guards, more=more)
        told, _ = prove(prover, "ada", ID, [(sort, name)], Between())
        validate(told)
        (row,) = told["proofs"]
        return dict(row)

    def tested(self, *guards: dict[str, Any]) -> tuple[dict[str, str], int]:
        """Try all again; gives the result of each name, and the exit code."""
        told, code = again(self.prover(*guards), "ada")
        validate(told)
        return {row["name"]: row["result"] for row in told["proofs"]}, code

    def reviewed(self, *names: str) -> None:
        """Save a review whose actions name these as their proofs."""
        actions = "".join(f"### A{n} Refuse it\n- proof: {name}\n" for n, name in enumerate(names, 1))
        body = {"incident": ID, "state": "draft", "text": f"## Summary\n## Actions\n{actions}", "base": 0}
        self.journal.append(at=AT, actor="ada", type=REVIEW, body=body)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An incident of a change that backed itself out, after one that did no harm; since then flask moved by itself."""
    site = Site(tmp_path)
    site.made("quiet", -900, "kept", ("click", "8.1.0", "8.1.7"))
    site.made("bad", -60, "out", SETUPTOOLS, FLASK)
    site.made("since", 60, "kept", FLASK)
    yield site
    site.journal.close()


def test_what_is_proposed_refuses_the_bad_change_and_lets_the_good_one_through(site: Site) -> None:
    """The package that only the bad change moved comes first; what would refuse the good one is no proposal."""
    prover = site.prover(more='[[environments.production.checks]]\nname = "site"\nrun = "true"\n')
    case = prover.case(ID)
    told = document(prover, case, propose(prover, case, date(2026, 11, 28), "UTC"))
    validate(told)
    assert (told["bad"]["change"], told["good"]["change"]) == ("bad", "since")
    first = told["candidates"][0]
    assert (first["table"]["rule"], first["table"]["what"]) == ("max-jump", ["python-package:setuptools"])
    assert first["backtest"] == {"harmful": 1, "did_harm": 1, "harmless": 0, "did_none": 2, "not_judged": 0}
    left = {row["name"]: row["why"] for row in told["left_out"]}
    assert "It refuses the good change since, too" in left["no-major-jumps"]
    assert told["narrower"] == "backout split bad"


def test_a_guard_that_is_there_already_is_told_as_such_and_not_proposed_again(site: Site) -> None:
    """Whoever added it by hand does not add it twice."""
    prover = site.prover({**STAYS, "environments": ["production"]})
    case = prover.case(ID)
    told = document(prover, case, propose(prover, case, date(2026, 11, 28), "UTC"))
    jumps = [row for row in told["candidates"] if row["rule"] == "max-jump"]
    assert [(row["name"], row["there"]) for row in jumps] == [("stays", True)]


def test_a_proof_turns_red_when_its_guard_is_edited_or_removed_and_green_again_with_it(site: Site) -> None:
    """And what it came to is recorded once, each time it is another."""
    row = site.proven(STAYS)
    assert (row["result"], row["bad"], row["good"]) == (HELD, "bad", "since")
    assert site.tested(STAYS) == ({"stays": HELD}, 0)
    edited = {**STAYS, "what": ["python-package:pip"]}
    assert site.tested(edited) == ({"stays": RED}, 3)
    assert site.tested(edited) == ({"stays": RED}, 3)
    assert site.tested() == ({"stays": RED}, 3)
    assert site.tested(STAYS) == ({"stays": HELD}, 0)
    assert [event.body["held"] for event in site.journal.events(type=PROOF)] == [True, False, True]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"what": ["python-package:pip"]}, "It lets the bad change bad through."),
        ({"environments": ["staging"]}, "It judges staging alone"),
        ({"what": ["python-package:*"]}, "It refuses the good change since, too"),
    ],
)
def test_a_guard_that_does_less_is_recorded_as_not_proven_and_never_turns_red(
    site: Site, more: dict[str, Any], why: str
) -> None:
    """What never held is no promise that was broken."""
    row = site.proven({**STAYS, **more})
    assert (row["result"], why in row["why"], bool(row["next"])) == (NOT_PROVEN, True, True)
    assert site.tested({**STAYS, **more}) == ({"stays": NOT_PROVEN}, 0)


def test_a_guard_that_the_bad_change_was_allowed_to_pass_proves_nothing(site: Site) -> None:
    """It was there, and somebody said why not."""
    passed = [{"name": "stays", "rule": "max-jump", "outcome": "overridden", "reasons": ["so"]}]
    site.made("worse", -30, "out", SETUPTOOLS, guards=passed)
    prover = site.prover({**STAYS, "override": True})
    told, code = prove(prover, "ada", ID, [(GUARD, "stays")], Between("worse"))
    assert (code, "was passed by --override" in told["proofs"][0]["why"]) == (3, True)


def test_drift_that_was_adopted_can_be_the_bad_one(tmp_path: Path) -> None:
    """It was made by hand, past every guard: what it would have met is told by what it did."""
    site = Site(tmp_path)
    site.made("quiet", -900, "kept", FLASK)
    site.made("drift", 30, "kept", SETUPTOOLS, adopted=True, command=["backout", "drift", "--adopt"])
    row = site.proven(STAYS)
    assert (row["result"], row["bad"], row["good"]) == (HELD, "drift", "quiet")
    assert row["backtest"]["harmful"] == 1
    check = '[[environments.production.checks]]\nname = "imports"\nrun = "true"\n'
    row = site.proven(more=check, sort=CHECK, name="imports")
    assert (row["result"], "nothing of it is kept" in row["why"]) == (NOT_TOLD, True)
    assert row["next"] == "A guard can prove against it: backout review guard"
    site.journal.close()


def test_what_gc_let_go_cannot_be_judged_and_the_way_on_is_said(tmp_path: Path) -> None:
    """It is neither held nor red; nothing is recorded of it, and what held before stays as it was."""
    site = Site(tmp_path)
    site.made("quiet", -900, "kept", FLASK)
    site.made("bad", -60, "out")
    row = site.proven(STAYS)
    assert (row["result"], "gc let them go" in row["why"], "backout split" in row["next"]) == (NOT_TOLD, True, True)
    assert list(site.journal.events(type=PROOF)) == []
    prover = site.prover()
    with pytest.raises(RefusedError) as refused:
        propose(prover, prover.case(ID), date(2026, 11, 28), "UTC")
    assert "backout split" in refused.value.next
    site.journal.close()


def test_what_held_and_cannot_be_told_any_more_counts_as_it_was() -> None:
    """The proof is on record; what gc lets go a month later takes it from nobody."""
    rows = [{"result": NOT_TOLD, "held_at": "2026-11-28T00:00:00+00:00", "needed": True}]
    assert (exit_code(rows), exit_code(rows, only=RED)) == (0, 0)
    assert exit_code([{**rows[0], "held_at": None}]) == 3


def test_a_command_that_failed_before_it_did_anything_is_no_bad_change(tmp_path: Path) -> None:
    """It was refused, and there is nothing of it that a guard could refuse; what gc let go is another matter."""
    site = Site(tmp_path)
    site.made("failed", -10, "refused")
    at = datetime.fromtimestamp(AT, UTC).isoformat()
    documents.keep(site.journal, {"host": "web1", "change": "failed", "started_at": at, "effects": []})
    site.made("gone", -20, "refused")
    assert site.prover().case(ID).bad_id == "gone"
    site.journal.close()


def test_where_the_record_does_not_tell_which_change_was_bad_a_person_says(site: Site) -> None:
    """A guess would prove the wrong thing."""
    site.made("other", -50, "out", FLASK)
    with pytest.raises(UsageError) as asked:
        site.prover().case(ID)
    assert "bad" in asked.value.what
    assert "--bad" in asked.value.next
    assert site.prover().case(ID, bad="other").bad_id == "other"
    for bad, good in (("bad", "bad"), ("bad", "other"), ("nowhere", None)):
        with pytest.raises(UsageError):
            site.prover().case(ID, bad, good)


def test_of_two_bad_changes_each_guard_is_held_against_its_own_again(site: Site) -> None:
    """Proven once against what a person named, it is not tried against the other one, and turned red by that."""
    site.made("other", -50, "out", ("redis", "4.4.2", "8.1.0"))
    redis = {**STAYS, "name": "redis", "what": ["python-package:redis"]}
    for name, bad in (("stays", "bad"), ("redis", "other")):
        prover = site.prover(STAYS, redis)
        assert prove(prover, "ada", ID, [(GUARD, name)], Between(bad))[1] == 0
    prover = site.prover(STAYS, redis)
    told, code = prove(prover, "ada", ID, [(GUARD, "stays"), (GUARD, "redis")], Between())
    assert (code, [row["bad"] for row in told["proofs"]]) == (0, ["bad", "other"])


def test_a_renamed_guard_is_red_under_its_old_name_until_it_is_proven_under_the_new_one(site: Site) -> None:
    """The review names something that is not there; what does the same is named."""
    site.proven(STAYS)
    renamed = {**STAYS, "name": "packages-stay"}
    told, code = again(site.prover(renamed), "ada")
    assert (code, "is called packages-stay now" in told["proofs"][0]["why"]) == (3, True)
    site.proven(renamed, name="packages-stay")
    assert site.tested(renamed) == ({"stays": RED, "packages-stay": HELD}, 0)


def test_what_no_action_names_any_more_asks_for_nothing(site: Site) -> None:
    """A review that found a better guard does not keep the old one alive."""
    site.proven(STAYS)
    site.reviewed("guard stays")
    assert site.tested()[1] == 3
    site.reviewed("guard other")
    assert site.tested() == ({"stays": RED}, 0)


def test_what_is_to_be_proven_is_what_the_actions_name(site: Site) -> None:
    """Else what was tried before, and the guards that say that they come from the incident."""
    command = '[commands.renew]\nrun = "renew"\n'
    prover = site.prover(STAYS, {"rule": "checked", "why": "so"}, more=command)
    config = prover.setting.config
    assert wanted(prover.known, config, ID, []) == ([(GUARD, "stays")], [])
    assert wanted(prover.known, config, ID, ["renew", "nothing"]) == ([(COMMAND, "renew")], ["nothing"])
    site.reviewed("command renew", "guard gone", "accepted by Ada until 2027-01-01")
    prover = site.prover(STAYS, more=command)
    assert wanted(prover.known, config, ID, []) == ([(COMMAND, "renew"), (GUARD, "gone")], [])
    assert site.proven(STAYS, name="gone")["why"] == "There is no guard gone in backout.toml."


def test_a_command_is_proven_by_a_run_that_went_well_since_the_incident_began(site: Site) -> None:
    """Before it is nothing; what backed itself out is nothing; and it need not be known which change was bad."""
    site.made("other", -50, "out", FLASK)
    how = {"more": '[commands.renew]\nrun = "renew certs"\n', "sort": COMMAND, "name": "renew"}
    site.made("early", -500, "kept", FLASK, command=["renew certs"])
    assert site.proven(**how)["why"] == "It was not run since the incident began."
    site.made("failed", 100, "out", FLASK, command=["renew certs"])
    assert "failed was backed out" in site.proven(**how)["why"]
    site.made("renewed", 200, "kept", FLASK, command=["renew certs"])
    assert (site.proven(**how)["result"], site.proven(**how)["why"]) == (
        HELD,
        "Its run renewed is applied and healthy.",
    )
    idle = {"command": "renew", "environment": "production", "red": ["site"]}
    site.journal.append(at=AT + 300, actor="ada", type=documents.IDLE, body=idle)
    assert site.proven(**how)["why"] == "Its last run did not go well: it left site unhealthy."
    site.journal.append(at=AT + 400, actor="ada", type=documents.IDLE, body={**idle, "red": []})
    assert site.proven(**how)["why"] == "Its last run had nothing to do."
