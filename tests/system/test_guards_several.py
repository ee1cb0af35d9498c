"""Guards over several hosts: those that are alike are judged once, and each host's record has what was said."""

from __future__ import annotations

import json

from kit.rollout import HOSTS, Shops, states

WHY = 'why = "it went wrong once"\n'


def guard(shops: Shops, text: str) -> None:
    """Add a guard to the configuration."""
    with (shops.world.backout.folder / "backout.toml").open("a") as file:
        file.write(f"[[guards]]\n{text}\n{WHY}")


def test_hosts_that_are_alike_are_judged_once_and_each_record_tells_of_an_override(shops: Shops) -> None:
    """Fifty hosts are one change: a program is not asked fifty times, and none of them forgets who passed it."""
    guard(
        shops, 'rule = "command"\nname = "policy"\nrun = "echo asked >> asked; echo not today; exit 3"\noverride = true'
    )
    asked = shops.world.backout.folder / "asked"
    document, code = shops.world.backout.json("rehearse", *shops.words()[1:3], *shops.words()[-2:])
    assert (code, asked.read_text()) == (3, "asked\n")
    (group,) = document["groups"]
    assert group["hosts"] == list(HOSTS)
    assert [(row["name"], row["outcome"]) for row in group["guards"]] == [("policy", "refused")]
    assert [reason["what"] for reason in group["verdict"]["reasons"]] == [
        "Guard policy: not today. It guards because of: it went wrong once"
    ]
    document, code = shops.run()
    assert (code, shops.lines, document["rollout"]) == (3, [0, 0, 0], None)
    document, code = shops.run("--override", "policy", "--why", "the client waits")
    assert (code, shops.lines) == (0, [1, 1, 1])
    assert document["groups"][0]["guards"][0]["outcome"] == "overridden"
    rollout = document["rollout"]["id"]
    for name in HOSTS:
        assert "overrode policy · the client waits" in shops.world.backout("log", "-e", name).stdout
    assert "overrode policy · the client waits" in shops.world.backout("log", "-e", "prod").stdout
    assert "policy overridden: not today." in shops.world.backout("show", "-e", "prod", rollout).stdout
    for name in HOSTS:
        assert shops.world.backout("back", "-e", name, rollout).returncode == 0


def test_a_host_that_is_not_alike_is_judged_for_itself(shops: Shops) -> None:
    """What a guard allows on two hosts it may refuse on the third."""
    guard(shops, f'rule = "forbid"\nwhat = ["file:{shops.app}/conf"]')
    command = f"[ ! -e {shops.app}/odd ] || echo more = yes >> {shops.app}/conf; touch {shops.app}/marked"
    shops.inside("web3", "odd").touch()
    try:
        words = ("-e", "prod", "--network", "none", "--odd", "web3", "--", command)
        document, code = shops.world.backout.json("run", "--yes", *words)
        assert code == 3
        assert states(document) == {"web1": "kept", "web2": "kept", "web3": "refused"}
        said = {tuple(group["hosts"]): "guards" in group for group in document["groups"]}
        assert said == {("web1", "web2"): False, ("web3",): True}
        assert shops.lines == [0, 0, 0]
    finally:
        shops.inside("web3", "odd").unlink()
        for name in HOSTS:
            shops.inside(name, "marked").unlink(missing_ok=True)


def test_files_are_read_on_a_host_as_its_rehearsal_left_them(shops: Shops) -> None:
    """What a requirements file says is known there and nowhere else."""
    requirements = shops.app / "requirements.txt"
    guard(shops, f'rule = "pinned"\nrequirements = {json.dumps([str(requirements)])}')
    words = ("rehearse", "-e", "prod", "--network", "none", "--")
    document, code = shops.world.backout.json(*words, f"echo 'flask>=2' > {requirements}")
    assert code == 3
    assert document["groups"][0]["guards"][0]["reasons"] == [
        f"1 requirement without == or a hash: flask>=2 in {requirements}. It guards because of: it went wrong once"
    ]
    assert shops.world.backout.json(*words, f"echo flask==2.2.5 > {requirements}")[1] == 0
