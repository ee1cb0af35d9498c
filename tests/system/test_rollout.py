"""A change over several hosts, for real: who is alike, waves, what fails, what is cut, and going on afterwards."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess

import pytest

from kit.rollout import BREAK, HOSTS, LINE, OLD, WAIT, Shops, states
from kit.sshd import until


def test_hosts_that_are_alike_get_the_change_in_waves_under_one_id(shops: Shops) -> None:
    """The whole story: rehearsed on all, nothing changed; accepted by digest; the canary first; taken back by id."""
    command = f"echo more = yes >> {shops.app}/conf"
    rehearsed, code = shops.world.backout.json("rehearse", "-e", "prod", "--network", "none", "--", command)
    (group,) = rehearsed["groups"]
    assert (code, group["hosts"], rehearsed["rollout"], shops.lines) == (0, list(HOSTS), None, [0, 0, 0])
    document, code = shops.world.backout.json(*shops.words("--accept", group["digest"], "--why", "more"))
    assert (code, shops.lines) == (0, [1, 1, 1])
    assert document["rollout"]["waves"] == [{"hosts": [name], "state": "kept"} for name in HOSTS]
    rollout = document["rollout"]["id"]
    assert [shops.record(name)[rollout] for name in HOSTS] == ["kept"] * 3
    assert {row["where"] for row in document["groups"][0]["checks"]} == {"before", "rehearsal", "after"}
    again, code = shops.resume(rollout)
    assert (code, states(again), shops.lines) == (0, dict.fromkeys(HOSTS, "standing"), [1, 1, 1])
    for name in HOSTS:
        assert shops.world.backout("back", "-e", name, rollout).returncode == 0
    assert shops.lines == [0, 0, 0]


def test_how_long_a_rehearsal_took_on_the_slowest_host_is_known_to_panic_and_to_colleagues(shops: Shops) -> None:
    """It is one way out, not three; what was let go is in our journal, what was refused in the hosts' ledgers."""
    backout, config = shops.world.backout, shops.world.backout.folder / "backout.toml"
    more = f'sleep "$(expr "$(hostname)" = web2)"; echo more = yes >> {shops.app}/conf'
    config.write_text(f"{config.read_text()}[commands.more]\nnetwork = 'none'\nrun = '''{more}'''\n")
    assert backout.json("rehearse", "-e", "prod", "more")[1] == 0
    ways = backout.json("panic", "-e", "prod")[0]["ways"]
    assert [(way["name"], way["rehearsed"]["failed"], way["rehearsed"]["duration_s"] >= 1) for way in ways] == [
        ("more", False, True)
    ]
    assert backout.json("run", "-e", "prod", "more")[1] == 3
    other = {"XDG_STATE_HOME": str(shops.world.folder / "another")}
    (way,) = backout.json("panic", "-e", "prod", environ=other)[0]["ways"]
    assert (way["name"], way["rehearsed"]["duration_s"] >= 1) == ("more", True)


def test_nothing_is_applied_without_an_answer_and_the_digest_is_told(shops: Shops) -> None:
    """Exit 3, and each host's record says that it was refused there."""
    document, code = shops.world.backout.json(*shops.words())
    (group,) = document["groups"]
    assert (code, document["rollout"], shops.lines) == (3, None, [0, 0, 0])
    assert group["digest"] in group["verdict"]["reasons"][0]["next"]
    assert "refused" in shops.record("web1").values()


def test_on_a_terminal_it_is_asked_once_and_one_line_shows_what_each_host_is_at(shops: Shops) -> None:
    """For thirty-eight hosts one question, about all of them."""
    pid, terminal = pty.fork()
    if pid == 0:
        argv = shops.world.backout.argv(*shops.words())
        os.execvpe(argv[0], argv, {**shops.world.backout.environ, "TERM": "xterm"})
    shown, asked = b"", False
    while True:
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # EIO: it has ended
            break
        if not asked and b"[y/N]" in shown:
            asked = True
            os.write(terminal, b"y\n")
    os.close(terminal)
    text = shown.decode()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, text
    assert text.count("Apply exactly this to 3 hosts, in 3 waves? [y/N]") == 1
    assert (text.count("3 alike: web1, web2, web3"), shops.lines) == (1, [1, 1, 1])
    assert "rehearsing on 3 hosts: " in text
    assert "wave 2 of 3: web2 applying" in text


def test_an_odd_host_is_refused_unless_it_is_named(shops: Shops) -> None:
    """They are probably not the same: the others go, and what differs is shown."""
    shops.inside("web2", "conf").write_text("workers = 3\n")
    done = shops.world.backout(*shops.words("--yes"))
    assert (done.returncode, shops.lines) == (3, [1, 0, 1]), done.stderr
    assert "2 alike: web1, web3" in done.stdout
    assert f"web2 differs:\n             otherwise: file:{shops.app}/conf" in done.stdout
    rollout = done.stdout.partition("Rollout    ")[2].split()[0]
    refused, code = shops.resume(rollout)
    assert (code, states(refused)["web2"], shops.lines) == (3, "refused", [1, 0, 1])
    document, code = shops.resume(rollout, "--odd", "web2")
    assert (code, states(document)) == (0, {"web1": "standing", "web2": "kept", "web3": "standing"})
    assert (shops.lines, shops.inside("web2", "conf").read_text()) == ([1, 1, 1], "workers = 3\n" + LINE)


def test_hosts_of_which_nobody_can_tell_who_is_meant_are_all_refused(shops: Shops) -> None:
    """A tie has no norm; the digest that is meant decides it."""
    for name, count in zip(HOSTS, "345", strict=True):
        shops.inside(name, "conf").write_text(f"workers = {count}\n")
    document, code = shops.run()
    assert (code, document["rollout"], shops.lines) == (3, None, [0, 0, 0])
    digest = document["groups"][1]["digest"]
    (meant,) = document["groups"][1]["hosts"]
    document, code = shops.world.backout.json(*shops.words("--accept", digest))
    assert (code, states(document)[meant], sum(shops.lines)) == (3, "kept", 1)
    error, code = shops.world.backout.json(*shops.words("--odd", "web9"))
    assert (code, "web9 is no host of prod" in error["what"]) == (2, True)


def test_a_canary_that_is_unwell_is_backed_out_and_the_rest_is_untouched(shops: Shops) -> None:
    """That is what a canary is for."""
    shops.hook("web1", BREAK)
    document, code = shops.run()
    assert (code, shops.lines) == (4, [0, 0, 0])
    assert states(document) == {"web1": "backed out", "web2": "untouched", "web3": "untouched"}
    rows = {row["host"]: row for row in document["rollout"]["hosts"]}
    assert "answers" in rows["web1"]["what"]
    assert rows["web2"]["next"] == f"backout run -e prod --resume {document['rollout']['id']}"


def test_a_wave_is_backed_out_whole_and_a_resume_does_no_host_twice(shops: Shops) -> None:
    """The healthy host of the wave goes back with it; the canary stays; afterwards only those that lack it are done."""
    shops.begin("wave = 2")
    shops.hook("web3", BREAK)
    document, code = shops.run()
    assert (code, shops.lines) == (4, [1, 0, 0])
    assert states(document) == {"web1": "kept", "web2": "backed out", "web3": "backed out"}
    assert [wave["state"] for wave in document["rollout"]["waves"]] == ["kept", "backed out"]
    rollout = document["rollout"]["id"]
    shops.inside("web3", "hook").unlink()
    document, code = shops.resume(rollout)
    assert (code, shops.lines) == (0, [1, 1, 1])
    assert states(document) == {"web1": "standing", "web2": "kept", "web3": "kept"}
    assert (shops.record("web2")[rollout], shops.record("web2")[f"{rollout}-2"]) == ("undone", "kept")
    document, code = shops.resume(f"{rollout}-2")
    assert (code, document["rollout"]["id"], states(document)) == (0, rollout, dict.fromkeys(HOSTS, "standing"))


def test_a_rollout_goes_on_with_as_many_failures_as_it_may_have(shops: Shops) -> None:
    """The failed host is backed out, the others of its wave are kept, and the exit code tells."""
    shops.begin("canary = 0\nwave = 2\nmax_failures = 1")
    shops.hook("web1", BREAK)
    document, code = shops.run()
    assert (code, shops.lines) == (4, [0, 1, 1])
    assert states(document) == {"web1": "backed out", "web2": "kept", "web3": "kept"}


def test_a_cut_link_leaves_a_host_to_its_ledger_and_anybody_can_go_on(shops: Shops) -> None:
    """A colleague with another journal: what stands is found on the hosts."""
    shops.hook("web2", WAIT)

    def cut(_: subprocess.Popen[str]) -> None:
        shops.begun("web2")
        shops.world.hosts["web2"].end_sessions()

    document, code = shops.meanwhile(cut)
    assert (code, states(document)) == (1, {"web1": "kept", "web2": "unknown", "web3": "untouched"})
    until(lambda: not shops.world.hosts["web2"].halves(), "the host half to end")
    rollout = document["rollout"]["id"]
    other = str(shops.world.folder / "colleague")
    document, code = shops.resume(rollout, "--why", "going on", XDG_STATE_HOME=other)
    assert (code, shops.lines) == (0, [1, 1, 1])
    assert states(document) == {"web1": "standing", "web2": "standing", "web3": "kept"}


@pytest.mark.parametrize("pace", ["wave = 1", 'wave = 1\npause = "10m"'])
def test_ctrl_c_ends_the_wave_and_stops_and_says_how_to_go_on(shops: Shops, pace: str) -> None:
    """Also in the pause between two waves: nothing is left half-way."""
    shops.begin(pace)
    canary = shops.world.hosts["web1"].state / "ledger"
    if "pause" not in pace:
        shops.hook("web1", WAIT)
    before = canary.read_bytes().count(b'"kind":"kept"') if canary.exists() else 0

    def stop(process: subprocess.Popen[str]) -> None:
        if "pause" in pace:
            until(lambda: canary.read_bytes().count(b'"kind":"kept"') > before, "the canary to be kept")
        else:
            shops.begun("web1")
        process.send_signal(signal.SIGINT)

    document, code = shops.meanwhile(stop)
    assert (code, shops.lines) == (130, [1, 0, 0])
    assert states(document) == {"web1": "kept", "web2": "untouched", "web3": "untouched"}
    assert document["exit_code"] == 130
    shops.set()
    shops.inside("web1", "hook").unlink(missing_ok=True)
    document, code = shops.resume(document["rollout"]["id"])
    assert (code, shops.lines) == (0, [1, 1, 1])


def test_ctrl_c_in_the_rehearsals_leaves_every_host_as_it_was(shops: Shops) -> None:
    """Signals do not cross ssh: each host is told, and answers when all is as before."""
    hosts = list(shops.world.hosts.values())
    stages = [host.stages() for host in hosts]
    words = ("--json", "run", "-e", "prod", "--yes", "--network", "none", "--", "touch begun; sleep 600")
    with shops.world.backout.beside(*words) as process:
        until(lambda: all(len(host.stages()) > len(old) for host, old in zip(hosts, stages, strict=True)), "rehearsals")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=300)
    error = json.loads(out)
    assert (process.returncode, error["state"]) == (130, "Every host is as it was before.")
    until(lambda: not any(host.halves() for host in hosts), "the host halves to end")
    assert [host.stages() for host in hosts] == stages


def test_a_host_that_is_not_reached_is_left_out_and_done_later(shops: Shops) -> None:
    """The rest goes on, the exit code tells, and a resume picks it up."""
    shops.world.disconnect()
    shops.world.cut("web3")
    document, code = shops.run()
    assert (code, shops.lines) == (1, [1, 1, 0])
    assert [row["host"] for row in document["failed"]] == ["web3"]
    assert states(document) == {"web1": "kept", "web2": "kept", "web3": "failed"}
    shops.world.mend("web3")
    document, code = shops.resume(document["rollout"]["id"])
    assert (code, shops.lines) == (0, [1, 1, 1])


def test_a_full_disk_on_one_host_is_that_hosts_failure(shops: Shops) -> None:
    """At the rehearsal it is left out; at the apply it is as it was before, and counted."""
    web2 = shops.world.hosts["web2"]
    small = shops.world.folder / "small"
    small.mkdir()
    for host in shops.world.hosts.values():
        host.own(small, "64m" if host is not web2 else "512k")
    words = ("run", "-e", "prod", "--yes", "--network", "none", "--", f"head -c 1000000 /dev/zero > {small}/big")
    document, code = shops.world.backout.json(*words)
    assert (code, states(document)) == (1, {"web1": "kept", "web2": "failed", "web3": "kept"})
    web2.state.mkdir(exist_ok=True)
    state = web2.own(web2.state, "4m")
    shops.hook("web1", WAIT)

    def fill(_: subprocess.Popen[str]) -> None:
        shops.begun("web1")
        subprocess.run(["dd", "if=/dev/zero", f"of={state}/filling", "bs=4k"], stderr=subprocess.DEVNULL, check=False)

    document, code = shops.meanwhile(fill)
    web2.sh("umount", "-l", str(web2.state))
    assert (code, shops.lines) == (1, [1, 0, 0])
    assert states(document) == {"web1": "kept", "web2": "failed", "web3": "untouched"}


def test_a_host_that_moved_on_meanwhile_is_a_conflict_there(shops: Shops) -> None:
    """Somebody's edit between the rehearsal and the host's wave is not overwritten."""
    shops.hook("web1", WAIT)

    def edit(_: subprocess.Popen[str]) -> None:
        shops.begun("web1")
        shops.inside("web3", "conf").write_text("workers = 9\n")

    document, code = shops.meanwhile(edit)
    assert (code, shops.lines) == (6, [1, 1, 0])
    assert states(document) == {"web1": "kept", "web2": "kept", "web3": "failed"}
    assert shops.inside("web3", "conf").read_text() == "workers = 9\n"


def test_two_resumes_at_once_do_no_host_twice(shops: Shops) -> None:
    """The id makes a step idempotent, whoever asks: what one does is not there to be done for the other."""
    shops.hook("web1", BREAK)
    document, _ = shops.run()
    shops.inside("web1", "hook").unlink()
    rollout, backout = document["rollout"]["id"], shops.world.backout
    argv = backout.argv("--json", "run", "-e", "prod", "--resume", rollout)
    both = [
        subprocess.Popen(
            argv,
            cwd=backout.folder,
            env={**backout.environ, "XDG_STATE_HOME": str(shops.world.folder / f"user{number}")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in range(2)
    ]
    codes = [process.wait(300) for process in both]
    assert set(codes) <= {0, 1, 3, 4, 6}
    assert max(shops.lines) == 1
    again, code = shops.resume(rollout)
    assert (code, shops.lines) == (0, [1, 1, 1]), (codes, again)
    for name in HOSTS:
        assert [state for change, state in shops.record(name).items() if rollout in change].count("kept") == 1
    assert all(shops.inside(name, "conf").read_text() == OLD + LINE for name in HOSTS)
