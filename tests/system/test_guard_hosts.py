"""Guards replayed over the record of several hosts, reached by the real ssh: what was done there is told there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from backout.config.writing import table
from kit.sshd import World, world

HOSTS = """
[environments.production]
hosts = ["web1", "web3"]
same_as = "staging"
[environments.staging]
hosts = ["web2"]
"""
GUARDS = table("guards", {"rule": "staged-first", "why": "it was not the same"}) + table(
    "guards", {"rule": "reversible", "why": "so"}
)


@pytest.fixture(scope="module")
def reach() -> Iterator[World]:
    """Two hosts of production, one of staging, each with a folder of its own at one path."""
    with world() as made:
        (made.folder / "shop").mkdir()
        for name in ("web1", "web2", "web3"):
            made.add(name)
            made.hosts[name].sh("sh", "-c", f"mount -t tmpfs shop {made.folder}/shop; echo 2 > {made.folder}/shop/conf")
        yield made


def run(reach: World, environment: str, script: str) -> str:
    """Change something without any guard; gives the change."""
    reach.environments(HOSTS)
    words = ("run", "-e", environment, "--yes", "--network", "none", "--", f"cd {reach.folder}/shop; {script}")
    document, code = reach.backout.json(*words)
    assert code == 0, document
    rollout = document.get("rollout")
    return str(document["change"] if rollout is None else rollout["id"])


def replayed(reach: World, *words: str) -> dict[str, dict[str, Any]]:
    """Replay the guards; gives each one's row, and the whole under the empty name."""
    reach.environments(HOSTS + GUARDS)
    document, code = reach.backout.json("guard", "test", *words)
    assert code == 0, document
    return {"": document, **{row["name"]: row for row in document["guards"]}}


def test_guards_are_replayed_over_all_hosts_as_of_each_changes_time(reach: World) -> None:
    """What staging has today is no proof for a change that was made before it; a rollout is one change, not two."""
    early = run(reach, "production", "echo 4 > conf")
    tried = run(reach, "staging", "echo 4 > conf; echo new > new")
    run(reach, "production", "echo new > new")
    found = replayed(reach)
    staged = found["staged-first"]
    assert (found[""]["changes"], found[""]["unreached"]) == (3, [])
    assert [(row["change"], row["hosts"]) for row in staged["refused"]] == [(early, ["web1", "web3"])]
    assert (staged["judged"], staged["harmless"], staged["not_judged"]) == (3, 1, [])
    assert "staging lacks 1 of 1 effect" in staged["refused"][0]["reason"]

    reach.environments(HOSTS)
    assert reach.backout("back", "-e", "staging", tried).returncode == 0
    shutil.rmtree(reach.folder / "xdg")  # as if a colleague sat here: the hosts tell all of it
    for words in ((), ("-e", "production", "staged-first")):
        staged = replayed(reach, *words)["staged-first"]
        assert [row["change"] for row in staged["refused"]] == [early]
        assert staged["judged"] == (3 if not words else 2)

    reach.disconnect()
    reach.cut("web2")
    try:
        cut = replayed(reach)
    finally:
        reach.mend("web2")
    assert [row["host"] for row in cut[""]["unreached"]] == ["web2"]
    assert [row["change"] for row in cut["staged-first"]["refused"]] == [early]
    assert [row["changes"] for row in cut["reversible"]["not_judged"]] == [[tried]]
