"""`backout guard` as its users have it: guards listed and added, and replayed over changes that were really made."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from backout.config.append import appended
from backout.config.writing import table
from backout.errors import FailedError
from backout.model.incident import INCIDENT
from backout.store.sqlite import SqliteJournal
from kit.cli import CHECKED, Backout

SILENT = ("--network", "none", "--quiet")


class Story(NamedTuple):
    """Changes of one machine, by what became of them."""

    backout: Backout
    ids: dict[str, str]

    def tested(self, *words: str, guards: str, environ: dict[str, str] | None = None) -> dict[str, Any]:
        """Replay guards over it."""
        (self.backout.folder / "guards.toml").write_text(config(self.backout, guards))
        document, code = self.backout.json("--config", "guards.toml", "guard", "test", *words, environ=environ)
        assert code == 0, document
        return document

    def one(self, *words: str, guards: str, environ: dict[str, str] | None = None) -> dict[str, Any]:
        """Replay the one guard."""
        (row,) = self.tested(*words, guards=guards, environ=environ)["guards"]
        found: dict[str, Any] = row
        return found

    def names(self, changes: list[str]) -> set[str]:
        """Name changes by what became of them."""
        known = {change: name for name, change in self.ids.items()}
        return {known[change] for change in changes}

    def refused(self, row: dict[str, Any]) -> dict[str, str | None]:
        """Give which changes a guard would have refused, and what harm they did."""
        known = {change: name for name, change in self.ids.items()}
        return {known[change["change"]]: change["harm"] for change in row["refused"]}


def config(backout: Backout, guards: str = "") -> str:
    """One environment, this machine, with a check that sees a file which a rehearsal does not touch."""
    live = backout.folder.parent / "seen-live"
    run = f"! test -e {live} || grep -q 2 {backout.folder}/app.conf"
    return CHECKED.format(name="live", run=run) + guards


def guard(rule: str, **keys: object) -> str:
    """Write a guard."""
    return table("guards", {"rule": rule, "why": "so", **keys})


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A change that stands, one that was taken back, one that backed itself out, one that was refused."""
    backout = Backout(tmp_path_factory.mktemp("story"))
    (backout.folder / "app.conf").write_text("workers = 2\n")
    (backout.folder / "backout.toml").write_text(config(backout))
    live = backout.folder.parent / "seen-live"

    def made(code: int, *words: str) -> str:
        document, got = backout.json("run", *SILENT, *words)
        assert got == code, document
        return str(document["change"])

    expected = ("--expect", f"file:{backout.folder}/app.conf")
    ids = {
        "kept": made(0, *expected, "--", "echo workers = 2 twice > app.conf"),
        "taken back": made(0, "--yes", "--", "echo workers = 22 > app.conf; echo new > new; echo new > newer"),
    }
    assert backout("back").returncode == 0
    ids["backed out"] = made(4, "--yes", "--after", f"touch {live}", "--", "echo workers = 4 > app.conf; echo > new")
    live.unlink()
    ids["refused"] = made(3, "--", "echo never > never; echo never > no")
    return Story(backout, ids)


def test_what_would_have_been_refused_is_told_with_its_harm(story: Story) -> None:
    """The worth of a guard is the harm that it would have kept away; its price what it would have held up."""
    row = story.one(guards=guard("max-effects", most={"file": 1}))
    assert story.refused(row) == {"taken back": "taken back", "backed out": "backed out", "refused": None}
    assert (row["judged"], row["harmful"], row["harmless"], row["refused_anyway"]) == (4, 2, 0, 1)
    assert row["told"] == (
        "max-effects would have refused 3 of 4 changes: its worth, 2 that did harm; its price, 0 that did none; "
        "1 was refused then, too."
    )
    newest = row["refused"][0]
    assert (newest["change"], newest["refused_anyway"]) == (story.ids["refused"], True)
    assert newest["command"] == ["echo never > never; echo never > no"]
    assert "2 file effects, where 1 are allowed" in newest["reason"]


def test_a_guard_that_is_only_in_the_way_shows_its_price(story: Story) -> None:
    """It would have refused what did no harm; the two that did are named as let through."""
    row = story.one(guards=guard("forbid", what=[f"file:{story.backout.folder}/app.conf"], name="no-conf"))
    assert (row["harmful"], row["harmless"]) == (2, 1)
    assert story.refused(row)["kept"] is None
    blind = story.one(guards=guard("forbid", what=["file:/nowhere"]))
    assert (blind["refused"], blind["judged"]) == ([], 4)
    assert "It would have let 2 changes through that did harm." in blind["told"]


def test_what_a_change_had_of_its_own_is_known(story: Story) -> None:
    """Expectations, the command after the apply, and the hour come from the record, not from today."""
    rows = story.tested(
        guards=guard("expected-only")
        + guard("reversible")
        + guard("window", name="never", hours="00:00-00:01", days=["mon"])
        + guard("window", name="always", hours="00:00-24:00")
    )["guards"]
    refused = {row["name"]: set(story.refused(row)) for row in rows}
    others = {"taken back", "backed out", "refused"}
    night = time.gmtime().tm_wday == 0 and time.gmtime().tm_hour == 0
    assert refused["expected-only"] == others
    assert refused["reversible"] == {"backed out"}
    assert refused["never"] == {"kept", *others} or night
    assert refused["always"] == set()


def test_a_program_is_asked_once_for_each_change(story: Story, tmp_path: Path) -> None:
    """It reads the very document that the change had; one that hangs has its time, and refuses."""
    told = tmp_path / "told"
    run = f"tee -a {told} | grep -q newer && echo it has newer && exit 3; echo >> {told}; true"
    row = story.one(guards=guard("command", run=run))
    assert story.refused(row) == {"taken back": "taken back"}
    assert row["refused"][0]["reason"] == "it has newer."
    documents = [json.loads(line) for line in told.read_text().replace("}{", "}\n{").splitlines() if line.strip()]
    assert {document["change"] for document in documents} == set(story.ids.values())
    assert len(documents) == len(story.ids)
    slow = story.one(guards=guard("command", run="sleep 60", within="1s"))
    assert slow["judged"] == 4
    assert all("no answer within 1 s" in change["reason"] for change in slow["refused"])


def test_chosen_guards_are_replayed_on_their_own_environments(story: Story) -> None:
    """A guard of staging says nothing of production; a name that is none is told with the nearest."""
    other = '[environments.staging]\nhosts = ["local"]\n'
    guards = guard("forbid", name="here", what=["*:*"]) + guard(
        "forbid", name="there", what=["*:*"], environments=["staging"]
    )
    rows = story.tested("there", "here", guards=other + guards)["guards"]
    assert [(row["name"], row["judged"]) for row in rows] == [("there", 0), ("here", 4)]
    assert rows[0]["told"] == "there could be asked about no change on record."
    assert story.tested("-e", "staging", guards=other + guards)["changes"] == 0
    done = story.backout("--config", "guards.toml", "guard", "test", "hear")
    assert (done.returncode, 'Did you mean "here"?' in done.stderr) == (2, True)


def test_of_a_host_that_does_not_answer_the_journal_tells_what_it_has(story: Story, tmp_path: Path) -> None:
    """Its effects are there; what only the host knew leaves a change unjudged, never let through."""
    guards = guard("max-effects", most={"file": 1}) + guard("reversible") + guard("command", run="exit 3")
    text = config(story.backout, guards).replace('"local"', '"nowhere.invalid"')
    (story.backout.folder / "away.toml").write_text(text)
    elsewhere = {"BACKOUT_STATE": str(tmp_path / "state")}
    document, code = story.backout.json("--config", "away.toml", "guard", "test", environ=elsewhere)
    assert (code, [row["host"] for row in document["unreached"]]) == (0, ["nowhere.invalid"])
    known, lost, asked = document["guards"]
    assert (known["judged"], known["harmful"], known["not_judged"]) == (4, 2, [])
    for row in (lost, asked):
        (missing,) = row["not_judged"]
        assert (row["judged"], row["refused"], story.names(missing["changes"])) == (0, [], set(story.ids))
        assert "the journal has only a part of it" in missing["why"]


def test_an_incident_that_was_open_then_makes_a_refusal_a_warning(story: Story) -> None:
    """And a change that it suspects did harm, whatever became of it."""
    journal = story.backout.folder.parent / "xdg" / "backout" / "journal.db"
    kept = {"id": "i1", "environment": "production", "suspects": [story.ids["kept"]]}
    with SqliteJournal(journal) as opened:
        before = next(iter(opened.events())).at
        opened.append(at=before - 1, actor="ada", type=INCIDENT, body={**kept, "state": "open"})
        row = story.one(guards=guard("max-effects", most={"file": 1}))
        assert (row["warned"], row["refused"], row["judged"]) == (3, [], 4)
        assert "It would have let 3 changes through that did harm." in row["told"]
        opened.append(at=before - 0.5, actor="ada", type=INCIDENT, body={**kept, "state": "resolved"})
    row = story.one(guards=guard("max-effects", most={"file": 0}))
    assert (story.refused(row)["kept"], row["warned"], row["harmful"]) == ("suspect", 0, 3)


def test_the_report_names_worth_and_price(story: Story) -> None:
    """What is read before a guard is switched on."""
    (story.backout.folder / "guards.toml").write_text(
        config(story.backout, guard("max-effects", most={"file": 1}, why="so"))
    )
    done = story.backout("--config", "guards.toml", "guard", "test")
    assert done.returncode == 0, done.stderr
    assert "In short   max-effects would have refused 3 of 4 changes" in done.stdout
    assert f"Worth      {story.ids['backed out']} backed out" in done.stdout
    assert f"Anyway     {story.ids['refused']}" in done.stdout


def test_a_guard_is_added_listed_and_in_force(backout: Backout) -> None:
    """From the command line to a refusal, with the file's own comments where they were."""
    file = backout.folder / "backout.toml"
    file.write_text("# ours\n" + CHECKED.format(name="fine", run="true"))
    added, code = backout.json("guard", "add", "forbid", "--why", 'an "edit" went wrong', "--what", "file:*/app.conf")
    assert (code, added["guards"][0]["settings"]) == (0, {"what": ["file:*/app.conf"]})
    done = backout("guard", "add", "command", "--name", "odd", "--run", "no-such-program", "--why", "so")
    assert (done.returncode, "Its program is not there: no-such-program" in done.stdout) == (0, True)
    assert file.read_text().startswith("# ours\n" + CHECKED.format(name="fine", run="true"))
    listed, code = backout.json("guard", "list")
    assert (code, [row["name"] for row in listed["guards"]]) == (0, ["forbid", "odd"])
    assert [len(row["problems"]) for row in listed["guards"]] == [0, 1]
    refused, code = backout.json("rehearse", *SILENT, "--", "echo 4 > app.conf")
    assert code == 3
    assert 'an "edit" went wrong' in refused["verdict"]["reasons"][0]["what"]


def test_somebody_elses_file_is_not_taken_over(place: Any, in_child: Any) -> None:
    """A group may write it; but under another owner, its own owner would not be allowed to believe it any more."""
    os.chmod(place.root, 0o777)
    file = place.write("backout.toml", "# ours\n", 0o666)

    new = appended(file, "guards", {"rule": "reversible", "why": "so"})

    def write() -> str:
        try:
            new.write()
        except FailedError as error:
            return error.what
        return "done"

    assert "belongs to another user" in in_child(write, uid=65534)
    assert (Path(file).read_text(), os.listdir(place.root)) == ("# ours\n", ["backout.toml"])


@pytest.mark.parametrize(
    ("words", "content", "said"),
    [
        (("forbid", "--why", "so", "--what", "file:*"), None, "backout init writes one."),
        (("forbid", "--what", "file:*"), "", "required: --why"),
        (("forbid", "--why", "so"), "", 'needs the key "what"'),
        (("forbd", "--why", "so"), "", 'Did you mean "forbid"?'),
        (("window", "--why", "so", "--hours", "all day"), "", "must be hours such as"),
        (("forbid", "--why", "so", "--what", "file:*", "--environment", "stagin"), "", "must name an environment"),
        (("forbid", "--why", "so", "--what", "file:*"), "guards = []", "Write each as a table of its own"),
    ],
)
def test_a_guard_that_could_not_be_read_is_not_added(
    backout: Backout, words: tuple[str, ...], content: str | None, said: str
) -> None:
    """The next command would refuse the whole file."""
    file = backout.folder / "backout.toml"
    if content is not None:
        file.write_text(content)
    done = backout("guard", "add", *words)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert file.exists() == (content is not None)
    assert content is None or file.read_text() == content
