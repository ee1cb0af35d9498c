"""Several hosts, each with a real sshd and a record of its own: the commands that look after the record."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.cli import validate
from kit.sshd import Host, World, until, world

ALL = ("-e", "all")
CONFIG = """
[environments.all]
hosts = ["web1", "web2", "web3"]
[environments.names]
hosts = ["web1", "www", "web2"]
[environments.nowhere]
hosts = ["web1", "nowhere.invalid", "web2"]
[environments.mixed]
hosts = ["local", "web1"]
[environments.checked]
hosts = ["web1", "web2"]
[[environments.checked.checks]]
name = "no trouble"
run = "! [ -e SRV/trouble ]"
within = "1s"
[environments.web1]
hosts = ["web1"]
[environments.web2]
hosts = ["web2"]
[environments.web3]
hosts = ["web3"]
"""
WWW = "Host www\n  HostName {}\n  User root\n  ConnectTimeout 2\n"


def config(fleet: World) -> str:
    """Give backout.toml."""
    return CONFIG.replace("SRV", f"{fleet.folder}/srv")


@pytest.fixture(scope="module")
def fleet() -> Iterator[World]:
    """Three hosts; www is a second name of the first."""
    with world() as made:
        for name in ("web1", "web2", "web3"):
            made.add(name)
        (made.folder / "srv").mkdir()
        for host in made.hosts.values():
            host.own(made.folder / "srv")
        made.configure(WWW.format(made.address("web1")))
        made.environments(config(made))
        yield made


@pytest.fixture(autouse=True)
def settled(fleet: World) -> Iterator[None]:
    """Every test begins with hosts on which nothing stands, and no file of an earlier one."""
    yield
    for host in fleet.hosts.values():
        for name in ("app", "more", "trouble"):
            own(host, name).unlink(missing_ok=True)
    while fleet.backout.json("back", *ALL, "--discard-edits")[1] == 0:
        pass


def own(host: Host, name: str) -> Path:
    """Give the way to a file of the host's own folder, which has the same name on all."""
    return host.inside(host.folder.parent / "srv" / name)


def app(host: Host, name: str = "app") -> str:
    """Give what that file holds."""
    path = own(host, name)
    return path.read_text() if path.exists() else ""


def changed(fleet: World, *hosts: str, name: str = "app", text: str = "new") -> list[str]:
    """Change a file on hosts, one after the other, each as a change of its own; gives the ids."""
    ids = []
    for host in hosts:
        command = f"echo {text} > {fleet.folder}/srv/{name}"
        ran, code = fleet.backout.json("run", "-e", host, "--yes", "--network", "none", "--", command)
        assert code == 0, ran
        ids.append(ran["change"])
    return ids


def asked(fleet: World, code: int, *words: str) -> dict[str, dict[str, Any]]:
    """Run a command with --json; gives the rows of its hosts by name, each document valid."""
    document, got = fleet.backout.json(*words)
    assert (got, document["schema"], document.get("exit_code")) == (code, "backout.hosts/1", code), document
    for row in document["hosts"]:
        validate(row["document"] or row["error"])
    return {row["host"]: row for row in document["hosts"]}


def rolled_out(fleet: World, name: str = "app") -> str:
    """Change a file on all hosts under one id."""
    command = f"echo new > {fleet.folder}/srv/{name}"
    before = {row["id"] for row in fleet.backout.json("log", *ALL)[0]["changes"]}
    done = fleet.backout("run", *ALL, "--yes", "--network", "none", "--", command)
    assert done.returncode == 0, done.stdout + done.stderr
    (change,) = {row["id"] for row in fleet.backout.json("log", *ALL)[0]["changes"]} - before
    return str(change)


def test_a_change_on_several_hosts_is_one_row_and_taken_back_on_all(fleet: World) -> None:
    """Who looks at the record of fifty hosts sees what was done, not fifty times the same."""
    change = rolled_out(fleet)
    rows = [row for row in fleet.backout.json("log", *ALL)[0]["changes"] if row["id"] == change]
    assert [row["host"] for row in rows] == ["web1", "web2", "web3"]
    said = fleet.backout("log", *ALL, "--last", "1").stdout
    assert (len(said.splitlines()), "web1, web2, web3" in said, "kept" in said) == (2, True, True), said
    shown = asked(fleet, 0, "show", *ALL, change)
    assert {row["document"]["schema"] for row in shown.values()} == {"backout.effects/1"}
    text = fleet.backout("show", *ALL, change).stdout
    assert (text.count("Change "), "web1, web2, web3" in text) == (1, True), text
    taken = asked(fleet, 0, "back", *ALL)
    assert [row["document"]["undone"][0]["change"] for row in taken.values()] == [change] * 3
    assert len({row["document"]["undone"][0]["by"] for row in taken.values()}) == 1
    assert [app(host) for host in fleet.hosts.values()] == ["", "", ""]


def test_without_an_id_the_newest_goes_alone_where_it_is_the_newest(fleet: World) -> None:
    """What is on one host alone is later than what all have: the others have nothing to do with it."""
    change = rolled_out(fleet)
    (alone,) = changed(fleet, "web2", name="more")
    first = asked(fleet, 0, "back", *ALL)
    assert {host: len(row["document"]["undone"]) for host, row in first.items()} == {"web1": 0, "web2": 1, "web3": 0}
    assert first["web2"]["document"]["undone"][0]["change"] == alone
    said = fleet.backout("log", *ALL, "--last", "3").stdout
    second = asked(fleet, 0, "back", *ALL)
    assert [row["document"]["undone"][0]["change"] for row in second.values()] == [change] * 3
    assert "undone" in said


def test_with_an_id_all_hosts_go_down_to_it_and_a_mixed_state_is_shown(fleet: World) -> None:
    """Newer changes go first, wherever they are; a host that was done before is not done again."""
    change = rolled_out(fleet)
    (alone,) = changed(fleet, "web2", name="more")
    assert fleet.backout("back", "-e", "web1").returncode == 0
    said = fleet.backout("log", *ALL).stdout
    assert "mixed" in said
    assert "  undone: web1\n  kept: web2, web3\n" in said
    done = asked(fleet, 0, "back", *ALL, change)
    undone = {host: [entry["change"] for entry in row["document"]["undone"]] for host, row in done.items()}
    assert undone == {"web1": [], "web2": [alone, change], "web3": [change]}
    error, code = fleet.backout.json("back", *ALL, change)
    assert (code, error["what"]) == (2, f"Change {change} stands on none of the hosts.")


def test_a_conflict_on_one_host_does_not_stop_the_others(fleet: World) -> None:
    """Each host is whole by itself: the one that somebody edited waits for a decision."""
    change = rolled_out(fleet)
    own(fleet.hosts["web2"], "app").write_text("edited\n")
    done = asked(fleet, 6, "back", *ALL, change)
    assert {host: row["exit_code"] for host, row in done.items()} == {"web1": 0, "web2": 6, "web3": 0}
    assert [app(host) for host in fleet.hosts.values()] == ["", "edited\n", ""]
    text = fleet.backout("back", *ALL, change)
    assert (text.returncode, "\nweb2\n  Conflict " in text.stdout) == (6, True), text.stdout


def test_until_healthy_stops_when_every_host_is_well(fleet: World) -> None:
    """What is not to blame stays; a host that is well keeps what the unwell one loses, unless it is the same change."""
    changed(fleet, "web1", name="more")
    changed(fleet, "web2", name="more")
    (blamed,) = changed(fleet, "web2", name="trouble")
    done = asked(fleet, 0, "back", "-e", "checked", "--until-healthy")
    undone = {host: [entry["change"] for entry in row["document"]["undone"]] for host, row in done.items()}
    assert undone == {"web1": [], "web2": [blamed]}
    assert [app(fleet.hosts[name], "more") for name in ("web1", "web2")] == ["new\n", "new\n"]


def test_a_host_that_is_not_reached_is_named_and_told_how_to_finish_it(fleet: World) -> None:
    """The cable of one is out: the rest goes on, and later the same command does the one that is left."""
    change = rolled_out(fleet)
    fleet.disconnect()
    fleet.cut("web2")
    done = asked(fleet, 1, "back", *ALL)
    assert {host: row["exit_code"] for host, row in done.items()} == {"web1": 0, "web2": 1, "web3": 0}
    assert f"Then: backout back -e all {change}" in done["web2"]["error"]["next"]
    said = fleet.backout("log", *ALL)
    assert (said.returncode, "web2\n" in said.stderr, "mixed" in said.stdout) == (1, True, False), said.stderr
    fleet.mend("web2")
    later = asked(fleet, 0, "back", *ALL, change)
    assert {host: len(row["document"]["undone"]) for host, row in later.items()} == {"web1": 0, "web2": 1, "web3": 0}


def test_what_is_alike_is_said_once_under_the_names_of_its_hosts(fleet: World) -> None:
    """doctor, gc and recover answer for every host, and do not repeat themselves."""
    assert list(asked(fleet, 0, "doctor", *ALL)) == ["web1", "web2", "web3"]
    assert asked(fleet, 0, "recover", *ALL)["web3"]["document"]["recovered"] == []
    assert asked(fleet, 0, "gc", *ALL, "--dry-run")["web1"]["document"]["dry_run"]
    said = fleet.backout("recover", *ALL).stdout
    assert said == "web1, web2, web3\n  No change was left unfinished.\n"


def test_a_name_that_does_not_resolve_is_told_and_the_rest_goes_on(fleet: World) -> None:
    """A typing error in a list of fifty."""
    rows = asked(fleet, 1, "doctor", "-e", "nowhere")
    assert {host: row["exit_code"] for host, row in rows.items()} == {"web1": 0, "nowhere.invalid": 1, "web2": 0}
    said = fleet.backout("recover", "-e", "nowhere").stdout
    assert said.startswith(
        "web1, web2\n  No change was left unfinished.\n\nnowhere.invalid\n  backout: There is no host"
    )


def test_two_names_of_one_machine_are_worked_with_once(fleet: World) -> None:
    """It would be done twice, or refuse the second; both names lead to the same ledger."""
    document, code = fleet.backout.json("recover", "-e", "names")
    assert (code, [row["host"] for row in document["hosts"]], document["twins"]) == (
        0,
        ["web1", "web2"],
        {"www": "web1"},
    )
    said = fleet.backout("recover", "-e", "names")
    assert "www is the same machine as web1, and worked with as web1" in said.stderr


def test_this_machine_may_be_one_of_them(fleet: World) -> None:
    """The controller is a host like any other, with its own record."""
    rows = asked(fleet, 0, "recover", "-e", "mixed")
    assert list(rows) == ["local", "web1"]
    assert asked(fleet, 0, "doctor", "-e", "mixed")["local"]["document"]["ok"]


@pytest.mark.parametrize("how", ["another key", "no python", "sudo", "a shell that prints"])
def test_each_trouble_of_one_host_is_its_own(fleet: World, how: str) -> None:
    """What is wrong is told by name, with its remedy; a login that prints is no trouble."""
    web2 = fleet.hosts["web2"]
    fleet.disconnect()
    code = {"another key": 1, "no python": 7, "sudo": 7, "a shell that prints": 0}[how]
    expected = {"another key": "not the one that is known", "no python": "no python3", "sudo": "sudo", "": ""}
    environment = ALL
    known = (fleet.ssh / "known_hosts").read_text()
    shell = web2.shell.read_text()
    try:
        if how == "another key":
            other = known.replace(web2.known, fleet.hosts["web1"].known)
            (fleet.ssh / "known_hosts").write_text(other)
        elif how == "no python":
            web2.log_in_with(shell.replace("exec", "PATH=/nowhere exec"))
        elif how == "sudo":
            web2.sudoers.write_text("")
            fleet.environments(config(fleet).replace('hosts = ["web1", "web2", "web3"]', _DEPLOYED))
            fleet.configure(WWW.format(fleet.address("web1")) + "Host web2\n  User deploy\n")
        else:
            web2.log_in_with(shell.replace("exec", "echo Welcome; echo '{}'; exec"))
        rows = asked(fleet, code, "recover", *environment)
    finally:
        web2.log_in_with(shell)
        (fleet.ssh / "known_hosts").write_text(known)
        fleet.environments(config(fleet))
        fleet.configure(WWW.format(fleet.address("web1")))
        fleet.disconnect()
    assert {host: row["exit_code"] for host, row in rows.items()} == {"web1": 0, "web2": code, "web3": 0}
    if code:
        assert expected[how] in rows["web2"]["error"]["what"]


_DEPLOYED = 'become = "sudo"\nhosts = ["web1", "web2", "web3"]'


def test_a_crash_on_one_host_is_noticed_everywhere_and_recovered(fleet: World) -> None:
    """A change that is half-way on one of fifty is not to be overlooked."""
    web3 = fleet.hosts["web3"]
    begun = web3.folder / "begun"
    after = f"[ -e {begun} ] || {{ touch {begun}; exec sleep 600; }}"  # it is run again where the change is taken back
    words = ("run", "-e", "web3", "--yes", "--network", "none", "--after", after)
    argv = fleet.backout.argv(*words, "--", f"echo new > {fleet.folder}/srv/app")
    with subprocess.Popen(argv, cwd=fleet.backout.folder, env=fleet.backout.environ, stdout=-3, stderr=-3):
        until(begun.exists, "the change to be applied")
        for pid in web3.halves():
            os.kill(pid, signal.SIGKILL)
    said = fleet.backout("log", *ALL)
    assert "web3: change" in said.stderr
    assert "was left unfinished by a crash: backout recover -e all" in said.stderr
    refused = asked(fleet, 5, "back", *ALL)
    assert refused["web3"]["error"]["next"] == "backout recover -e all"
    document = fleet.backout.json("recover", *ALL)[0]
    recovered = {row["host"]: len(row["document"]["recovered"]) for row in document["hosts"] if row["document"]}
    assert recovered["web3"] == 1


def test_ctrl_c_while_hosts_are_reached_ends_at_once_and_leaves_nothing(fleet: World) -> None:
    """One that accepts connections and says nothing would be waited for, a minute long."""
    web2 = fleet.hosts["web2"]
    listen = "import socket, time; s = socket.create_server(('', 2222)); time.sleep(600)"
    web2.start("python3", "-c", listen)
    web2.sh("sh", "-c", "until ss -ltn | grep -q :2222; do sleep 0.05; done")
    fleet.disconnect()
    fleet.configure(f"Host web2\n  HostName {fleet.address('web2')}\n  Port 2222\n  ConnectTimeout 600\n")
    with fleet.backout.beside("log", *ALL, start_new_session=True) as process:
        until(lambda: _to(fleet, "web2"), "ssh to web2")
        os.killpg(process.pid, signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read()
        process.wait()
    fleet.configure(WWW.format(fleet.address("web1")))
    assert (process.returncode, "Interrupted" in said) == (130, True), said
    assert _to(fleet, "web2") == []


def _to(fleet: World, host: str) -> list[int]:
    """Name the ssh clients of the controller on their way to a host."""
    found = []
    for pid in fleet.controller.pids():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except FileNotFoundError:
            continue
        if words[0] == b"ssh" and host.encode() in words and b"-T" in words:
            found.append(pid)
    return found
