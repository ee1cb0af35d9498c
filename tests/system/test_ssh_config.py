"""What people have in ~/.ssh works as they have it: jumps, agents, certificates, known_hosts that are strict."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.sshd import World, sh, world

INNER = "198.18.255.2"
CONFIG = """
[environments.production]
hosts = ["app.example"]
"""
SSH_CONFIG = """
StrictHostKeyChecking yes
UpdateHostKeys no
Host app.example
  HostName {inner}
  HostKeyAlias app.example
  ProxyJump jump
  User root
  LocalForward 127.0.0.1:2222 127.0.0.1:22
  ExitOnForwardFailure yes
  RemoteCommand cat
Host jump
  HostName {jump}
  HostKeyAlias jump.example
  User root
"""


@pytest.fixture
def reach() -> Iterator[World]:
    """A host that is reached only through another one."""
    with world() as made:
        made.add("web1")
        made.add("jump")
        made.hide("web1", "jump", INNER)
        made.environments(CONFIG)
        made.configure(SSH_CONFIG.format(inner=INNER, jump=made.address("jump")))
        yield made


@pytest.fixture
def agent(reach: World) -> Iterator[dict[str, str]]:
    """An agent that holds the only key; gives what leads to it."""
    socket = str(reach.folder / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as process:
        while not os.path.exists(socket):
            assert process.poll() is None
        environ = {"SSH_AUTH_SOCK": socket}
        yield environ
        process.send_signal(signal.SIGTERM)


def certified(reach: World) -> None:
    """Let an authority of our own vouch for both hosts and for root, and nothing else count."""
    ca = reach.folder / "ca"
    sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(ca))
    for name, alias in (("web1", "app.example"), ("jump", "jump.example")):
        host = reach.hosts[name]
        sh("ssh-keygen", "-q", "-s", str(ca), "-h", "-I", name, "-n", alias, str(host.folder / "key.pub"))
        with (host.folder / "sshd_config").open("a") as file:
            file.write(f"HostCertificate {host.folder}/key-cert.pub\nTrustedUserCAKeys {ca}.pub\n")
        (host.folder / "authorized").write_text("")
        host.start_anew()
    public = Path(f"{ca}.pub").read_text()
    (reach.ssh / "known_hosts").write_text(f"@cert-authority *.example {public}")
    sh("ssh-keygen", "-q", "-s", str(ca), "-I", "root", "-n", "root", str(reach.ssh / "id_ed25519.pub"))


def test_a_jump_an_agent_certificates_and_strict_known_hosts_lead_to_the_host(
    reach: World, agent: dict[str, str]
) -> None:
    """Whoever has `ssh app.example` working has backout working; what would disturb it there is set aside."""
    certified(reach)
    key = reach.ssh / "id_ed25519"
    subprocess.run(["ssh-add", "-q", str(key)], env={**os.environ, **agent}, check=True)
    shutil.move(key, reach.folder / "away")
    refused = reach.backout("log", "-e", "production")
    assert (refused.returncode, "is made through jump" in refused.stderr) == (1, True), refused.stderr
    target = reach.folder / "app.conf"
    done = reach.backout("run", "-e", "production", "--yes", "--", f"echo 4 > {target}", **agent)
    assert (done.returncode, target.read_text()) == (0, "4\n"), done.stderr
    document, code = reach.backout.json("log", "-e", "production", environ=agent)
    assert (code, document["changes"][0]["host"]) == (0, "web1")
    reach.disconnect()
    (reach.ssh / "known_hosts").write_text("")
    refused = reach.backout("log", "-e", "production", **agent)
    assert (refused.returncode, "is made through jump" in refused.stderr) == (1, True), refused.stderr
