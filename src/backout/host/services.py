"""The live service manager: what units do now, and carrying out what a rehearsal asked of them.

Whether a unit starts at boot is a matter of links and files, which other steps switch and take back; here only
processes are acted on, and the manager is told to look again.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from backout.errors import FailedError
from backout.model.redact import redact
from backout.model.service import ServiceRequest, ServiceState
from backout.model.step import Service

SYSTEMD, SYSV, NONE = "systemd", "sysv", "none"

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ASK_S, _ACT_S = 20.0, 600.0
_KEPT_CHARS = 4096
_ENABLED = {
    "enabled": True,
    "enabled-runtime": True,
    "alias": True,
    "disabled": False,
    "masked": False,
    "masked-runtime": False,
}
_ACTIVE = {
    "active": True,
    "reloading": True,
    "activating": True,
    "inactive": False,
    "failed": False,
    "deactivating": False,
}
_LSB_STATUS = {0: True, 1: False, 2: False, 3: False}
_STARTS = ("start", "restart", "try-restart", "reload-or-restart", "try-reload-or-restart", "force-reload")
_RUN = {
    # All kernels, and made where missing: the rehearsal may have asked for a new kernel's.
    "update-initramfs": ("update-initramfs", "-c", "-k", "all"),
    "update-grub": ("update-grub",),
}

_AGENTS = {
    "puppet": "puppet.service",
    "chef-client": "chef-client.service",
    "salt-minion": "salt-minion.service",
    "cfengine": "cfengine3.service",
}
_TIMERS = {
    "unattended-upgrades": "apt-daily-upgrade.timer",
    "ansible-pull": "ansible-pull.timer",
    "puppet": "puppet-run.timer",
    "chef-client": "chef-client.timer",
    "dnf-automatic": "dnf-automatic.timer",
}
_WORDS = {
    "ansible-pull": "ansible-pull",
    "puppet agent": "puppet",
    "puppet apply": "puppet",
    "chef-client": "chef-client",
    "cf-agent": "cfengine",
}
_CRON = (
    "/etc/crontab",
    "/etc/cron.d/*",
    "/etc/cron.hourly/*",
    "/etc/cron.daily/*",
    "/var/spool/cron/crontabs/*",
    "/var/spool/cron/*",
)
_APT_CONF = "/etc/apt/apt.conf.d/*"


class Enforcer(NamedTuple):
    """Something that applies its own idea of this host: its name, the unit to pause (None: cron), how we know."""

    name: str
    unit: str | None
    how: str


class _Said(NamedTuple):
    code: int
    output: str


def manager() -> str:
    """Tell what manages services here: systemd (sd_booted(3)), init scripts, or nothing."""
    if os.path.isdir("/run/systemd/system"):
        return SYSTEMD
    return SYSV if os.path.isdir("/etc/init.d") else NONE


def states(units: Iterable[str]) -> dict[str, ServiceState]:
    """Tell of each unit whether it starts at boot and whether it runs; a unit that does not exist does neither."""
    wanted = list(dict.fromkeys(units))
    kind = manager()
    if not wanted or kind == NONE:
        return {unit: ServiceState() for unit in wanted}
    if kind == SYSTEMD:
        return {unit: state_of(_properties(unit)) for unit in wanted}
    from concurrent.futures import ThreadPoolExecutor  # with logging, a sixth of what a rehearsal would import

    with ThreadPoolExecutor(8) as pool:
        return dict(zip(wanted, pool.map(_sysv_state, wanted)))


def described(properties: Sequence[str], patterns: Sequence[str]) -> list[dict[str, str]]:
    """Give properties of systemd's loaded units by one call; of one that comes several times, a line each."""
    words = [f"--property={','.join(properties)}", "--all", "--", *patterns]
    blocks = []
    for block in _call(["systemctl", "show", *words]).output.split("\n\n"):
        found: dict[str, str] = {}
        for line in block.splitlines():
            name, equals, value = line.partition("=")
            if equals:
                found[name] = f"{found[name]}\n{value}" if name in found else value
        blocks.append(found)
    return [block for block in blocks if block]


def installed(types: Sequence[str]) -> dict[str, str]:
    """Give systemd's unit files of some types, loaded or not, and what each is: enabled, disabled or static."""
    said = _call(["systemctl", "list-unit-files", "--no-legend", "--plain", f"--type={','.join(types)}"]).output
    rows = (line.split() for line in said.splitlines())
    return {row[0]: row[1] for row in rows if len(row) > 1}


def scripts() -> list[str]:
    """Name the units that are init scripts, sorted."""
    return [
        f"{name}.service" for name in sorted(os.listdir("/etc/init.d")) if os.access(f"/etc/init.d/{name}", os.X_OK)
    ]


def snapshot() -> bytes:
    """Give what is known of every unit as `systemctl show` prints it, the manager first: for the stand-ins."""
    kind = manager()
    if kind == SYSTEMD:
        blocks = [_call(["systemctl", *words]).output.strip("\n") for words in (["show"], ["show", "--", "*"])]
        return "\n\n".join(blocks).encode() + b"\n"
    if kind == NONE:
        return b""
    words = {True: "active", False: "inactive", None: "unknown"}
    known = states(scripts()).items()
    return "".join(f"Id={unit}\nActiveState={words[state.active]}\n\n" for unit, state in known).encode()


def split_requests(requests: Sequence[ServiceRequest]) -> tuple[tuple[ServiceRequest, ...], tuple[ServiceRequest, ...]]:
    """Tell what is carried out before the files are switched, and what after; both collapsed, units in their order.

    A unit's stop goes before them when nothing else was asked of that unit earlier: a program stops a service first so
    that it never sees half of the new files, and the stop of a unit that goes away needs the files which know how. A
    stop after anything else (start, then stop) says only how it ends, and stays with what it follows. All other
    requests mean the new files and come after them. Stopping too early costs the milliseconds of the switch, no more.
    """
    before: list[ServiceRequest] = []
    after: list[ServiceRequest] = []
    for unit in dict.fromkeys(request.unit for request in requests):
        actions = [request.action for request in requests if request.unit == unit]
        leading = next((at for at, action in enumerate(actions) if action != "stop"), len(actions)) if unit else 0
        before.extend(ServiceRequest(action, unit) for action in collapse(actions[:leading]))
        after.extend(ServiceRequest(action, unit) for action in collapse(actions[leading:]))
    # The manager reads its files again before it acts on any unit.
    after.sort(key=lambda request: request.unit != "")
    return tuple(before), tuple(after)


def collapse(actions: Sequence[str]) -> tuple[str, ...]:
    """Leave out of one unit's actions those that a later one makes pointless: three restarts are one."""
    left: list[str] = []
    for action in actions:
        if action in ("stop", "restart"):
            left = [action]
        elif action == "start" and left[-1:] == ["stop"]:
            left[-1] = "restart"
        elif left[-1:] == [action] or (left[-1:] == ["restart"] and (action in _STARTS or action == "reload")):
            continue
        else:
            left.append(action)
    return tuple(left)


def goes_first(step: Service) -> bool:
    """Tell whether a step belongs before the files are switched (or switched back): it ends with the unit stopped."""
    return step.want.get("active") is False if step.undoing else collapse(step.requests) == ("stop",)


def carry_out(step: Service) -> str:
    """Do what was asked of one unit, or take it back; wait for the result and give the manager's words, redacted.

    Safe to repeat: after a crash it is. FailedError names the unit and says what the manager said.
    """
    if step.unit and manager() == SYSTEMD and _properties(step.unit).get("NeedDaemonReload") == "yes":
        _call(["systemctl", "daemon-reload"])
    actions = _undoing(step) if step.undoing else collapse(step.requests)
    return redact("".join(_act(action, step.unit) for action in actions))


def _undoing(step: Service) -> tuple[str, ...]:
    """Choose what brings the recorded state back, and lets what runs use the files that are live now."""
    if step.unit in _RUN or not step.unit:
        return collapse(step.requests)
    active, wanted = states([step.unit])[step.unit].active, step.want.get("active")
    if wanted is False:
        return ("stop",) if active is not False else ()
    if active is False:
        return ("start",) if wanted else ()
    asked = [action for action in collapse(step.requests) if action in (*_STARTS[1:], "reload")]
    if not asked:
        return ()
    return ("reload",) if asked == ["reload"] else ("restart",)


def _act(action: str, unit: str) -> str:
    under_systemd = manager() == SYSTEMD
    if under_systemd and action in _STARTS:
        # A unit that failed too often refuses to start, however good its files are by now.
        _call(["systemctl", "reset-failed", "--", unit])
    said = _call(_command(action, unit), _ACT_S)
    if said.code == 0 and under_systemd and action in _STARTS and _properties(unit)["ActiveState"] == "failed":
        said = _Said(1, _call(["systemctl", "status", "--no-pager", "--lines=20", "--", unit]).output)
    if said.code != 0:
        words = redact(said.output[-_KEPT_CHARS:]).strip() or f"exit code {said.code}"
        raise FailedError(
            f"{action} {unit or 'the service manager'} failed: {words}",
            state="The files are switched; this request was not carried out.",
            next=f"systemctl status {unit}" if under_systemd else f"service {_script(unit)} status",
        )
    return said.output


def _command(action: str, unit: str) -> list[str]:
    if action == "run" and unit in _RUN:
        return list(_RUN[unit])
    kind = manager()
    if kind == SYSTEMD:
        verb, _, signal = action.partition(":")
        options = [f"--signal={signal}"] if signal else []
        return ["systemctl", *options, verb, *(["--", unit] if unit else [])]
    if kind == SYSV and unit:
        return ["service", _script(unit), action]
    raise FailedError(
        f"There is no service manager here that could {action} {unit}.",
        next="backout doctor says what this host can do.",
    )


def _script(unit: str) -> str:
    return unit.removesuffix(".service")


def _properties(unit: str) -> dict[str, str]:
    names = "LoadState,ActiveState,UnitFileState,NeedDaemonReload"
    lines = _call(["systemctl", "show", f"--property={names}", "--", unit]).output.splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def state_of(properties: Mapping[str, str]) -> ServiceState:
    """Read a unit's state from its LoadState, ActiveState and UnitFileState."""
    if properties.get("LoadState") == "not-found":
        return ServiceState(enabled=False, active=_ACTIVE.get(properties.get("ActiveState", ""), False))
    return ServiceState(
        _ENABLED.get(properties.get("UnitFileState", "")), _ACTIVE.get(properties.get("ActiveState", ""))
    )


def _sysv_state(unit: str) -> ServiceState:
    """Ask the init script (LSB: exit 0 runs, 1 to 3 does not), and the links of the run levels 2 to 5."""
    script = _script(unit)
    if not os.access(f"/etc/init.d/{script}", os.X_OK):
        return ServiceState(enabled=False, active=False)
    link = re.compile(rf"S\d\d{re.escape(script)}")
    folders = [folder for folder in (f"/etc/rc{level}.d" for level in "2345") if os.path.isdir(folder)]
    enabled = any(link.fullmatch(name) for folder in folders for name in os.listdir(folder))
    with open(f"/etc/init.d/{script}", "rb") as file:
        # A script that has no such action might do anything when asked.
        knows = b"status" in file.read()
    return ServiceState(enabled, _LSB_STATUS.get(_call(["service", script, "status"]).code) if knows else None)


def _call(argv: Sequence[str], within_s: float = _ASK_S) -> _Said:
    """Run a tool to its end; a daemon that it leaves behind keeps our output file open, not us waiting.

    In a session of its own: Ctrl-C reaches us alone, and never half of a restart.
    """
    import subprocess
    import tempfile

    environ = {"PATH": _PATH, "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environ, cwd="/",
                start_new_session=True, timeout=within_s, check=False,
            )  # fmt: skip
            code, note = done.returncode, ""
        except subprocess.TimeoutExpired:
            code, note = 124, f"\nno answer within {within_s:g} s"
        except OSError as error:
            return _Said(127, f"{argv[0]}: {error.strerror}")
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    return _Said(code, text + note)


def enforcers() -> list[Enforcer]:
    """Name what is at work here: running agents, enabled timers, cron lines. Reads only."""
    return [*_units(), *_cron_lines()]


def _units() -> Iterator[Enforcer]:
    known = states([*_AGENTS.values(), *_TIMERS.values()])
    if manager() == SYSTEMD and all(state.active is None for state in known.values()):
        yield Enforcer("systemd", None, "cannot be asked: whether an agent or a timer is at work is not known")
    for name, unit in _AGENTS.items():
        if known[unit].active:
            yield Enforcer(name, unit, "is running")
    for name, unit in _TIMERS.items():
        if known[unit].active and (name != "unattended-upgrades" or _upgrades_unattended()):
            yield Enforcer(name, unit, "its timer is active")


def _upgrades_unattended() -> bool:
    """Tell whether apt's timer would upgrade anything: APT::Periodic::Unattended-Upgrade, last word wins."""
    lines = [line.split() for path in sorted(glob.glob(_APT_CONF)) for line in _lines(path)]
    values = [
        words[1].strip('";') for words in lines if len(words) > 1 and words[0] == "APT::Periodic::Unattended-Upgrade"
    ]
    return bool(values) and values[-1] != "0"


def _cron_lines() -> Iterator[Enforcer]:
    for path in sorted(path for pattern in _CRON for path in glob.glob(pattern)):
        found = {
            name
            for line in _lines(path)
            if not line.lstrip().startswith("#")
            for word, name in _WORDS.items()
            if word in line
        }
        for name in sorted(found):
            yield Enforcer(name, None, f"is run by {path}")


def _lines(path: str) -> list[str]:
    """Read a small text file; one that we may not read tells nothing."""
    if not os.path.isfile(path):
        return []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except PermissionError:
        return []
