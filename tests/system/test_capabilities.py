"""The least of root's power: what a rehearsed command keeps, exactly; and what would fail without each of it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from backout.host import capabilities
from kit.user import USER

SETS = "grep Cap /proc/self/status"
NUMBERS = {
    "chown": 0, "dac_override": 1, "fowner": 3, "fsetid": 4, "kill": 5, "setgid": 6, "setuid": 7, "setpcap": 8,
    "net_bind_service": 10, "net_raw": 13, "ipc_lock": 14, "sys_chroot": 18, "sys_nice": 23, "sys_resource": 24,
    "mknod": 27, "setfcap": 31,
}  # fmt: skip
"""Those that root keeps, as capability.h numbers them: stated once more, so that none is added in passing."""
BIND = "python3 -c 'import socket; socket.create_server((\"127.0.0.1\", 80))'"
LOCK = "import ctypes, resource; resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0)); "
LOCK += "assert ctypes.CDLL(None).mlock(ctypes.create_string_buffer(9), 9) == 0"
PREPARE = """
    mkdir theirs; touch f theirs/file; cp /bin/true ping; setcap cap_net_raw+ep ping
    chown -R 1:1 theirs; chmod 500 theirs; chmod 400 theirs/file
"""
USES = {
    "chown": "touch f && chown 1:1 f",
    "dac_override": "echo > theirs/file",
    "fowner": "chmod 600 theirs",
    "fsetid": "chgrp 1 f && chmod 2755 f && stat -c %a f | grep -x 2755",
    "kill": "setpriv --reuid=1 --clear-groups sleep 1000 & sleep 0.2; kill $!",
    "setgid": "setpriv --regid=1 --clear-groups true",
    "setuid": "setpriv --reuid=1 true",
    "setpcap": "capsh --drop=cap_chown -- -c true",
    "net_bind_service": BIND,
    "net_raw": "./ping",
    "ipc_lock": f"python3 -c '{LOCK}'",
    "sys_chroot": "chroot / true",
    "sys_nice": "python3 -c 'import os; os.setpriority(0, 0, -5)'",
    "sys_resource": "ulimit -n 64 && ulimit -n 128",
    "mknod": "mknod null c 1 3",
    "setfcap": "cp /bin/true t && setcap cap_net_raw+ep t",
}


def test_root_keeps_these_and_no_others(place: Any) -> None:
    """A capability more is a way out more: the set is stated here, and every thread's five sets are held to it."""
    has = int(Path("/proc/self/status").read_text().partition("CapBnd:")[2].split()[0], 16)
    kept = f"{has & sum(1 << number for number in NUMBERS.values()):016x}"
    rows = dict(line.split() for line in place.run(SETS).out.splitlines())
    none = f"{0:016x}"
    assert rows == {"CapInh:": none, "CapPrm:": kept, "CapEff:": kept, "CapBnd:": kept, "CapAmb:": none}
    assert set(NUMBERS) == capabilities.KEPT


def test_a_user_keeps_none(place: Any, in_child: Any) -> None:
    """In a user namespace of its own a process would have all of them, over whatever that namespace owns."""
    Path(place.root).chmod(0o777)
    out = in_child(lambda: place.run(SETS).out, uid=USER)
    assert {line.split()[1].strip("0") for line in out.splitlines()} == {""}


@pytest.mark.parametrize("name", sorted(capabilities.KEPT))
def test_each_one_is_needed_by_something(place: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What nothing needs is to be dropped: with it the use works, with all the others but it the use fails."""
    subprocess.run(["sh", "-ec", PREPARE], cwd=place.root, check=True)
    script = f"set -e\n{USES[name]}"
    with_it = place.run(script)
    monkeypatch.setattr(capabilities, "KEPT", capabilities.KEPT - {name})
    without_it = place.run(script)
    assert (with_it.code == 0) == capabilities.may(name), with_it  # the root of a container may lack one itself
    assert without_it.code != 0, without_it
