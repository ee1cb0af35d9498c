"""What of root's power a rehearsed command keeps: what set-up commands need over files and their own processes.

Without root nothing is kept. Gone is whatever reaches past the namespaces: mounts (sys_admin), modules (sys_module, and
net_admin, for which the kernel loads them), the clock, reboot, raw devices, open_by_handle_at (dac_read_search), the
host's logs, and sys_ptrace, with which /proc/1/exe of the sandbox would lead to the host's own file.
"""

from __future__ import annotations

import ctypes
import errno

from backout.host.libc import call

# in the order of linux/capability.h
_IN_ORDER = (
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service "
    "net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin "
    "sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override "
    "mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore"
)
_NAMES = _IN_ORDER.split()

NEEDED = {
    "chown": "packages give their files owners",
    "dac_override": "root writes to files and folders of others",
    "fowner": "root changes modes, times and attributes of files of others",
    "fsetid": "packages set the setgid bit on files of groups that root is not in",
    "kill": "an init script ends a daemon that runs as another user",
    "setgid": "su, and daemons that give up root",
    "setuid": "su, and daemons that give up root",
    "setpcap": "start scripts that give up capabilities for good (capsh --drop)",
    "net_bind_service": "a check starts a server on port 80",
    "net_raw": "programs that have it as their file capability, as ping has, do not even start without it",
    "ipc_lock": "programs that keep secrets out of swap (vault has it as its file capability)",
    "sys_chroot": "chroot, sshd's separation of privileges, ldconfig -r",
    "sys_nice": "start scripts that raise a daemon's priority",
    "sys_resource": "su and cron raise limits as limits.conf says (pam_limits), or refuse to go on",
    "mknod": "packages make the device nodes of a chroot; they cannot be opened in the view",
    "setfcap": "packages give programs file capabilities",
}
"""Each capability that is kept, and who fails without it. `tests/system/test_capabilities.py` shows both."""
KEPT = frozenset(NEEDED)

_PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL = 24, 47, 4
_VERSION_3 = 0x20080522
_HIGHEST = 63


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def drop(kept: frozenset[str]) -> None:
    """Give up every capability but these, for this process and all that it executes, for good."""
    nothing = ctypes.c_ulong(0)
    wanted = [number for number, name in enumerate(_NAMES) if name in kept]
    for number in range(_HIGHEST + 1):
        if number not in wanted and not _drop_bound(number):
            break
    call("prctl", _PR_CAP_AMBIENT, ctypes.c_ulong(_AMBIENT_CLEAR_ALL), nothing, nothing, nothing)
    had = permitted()
    data = (_Data * 2)()
    for half in range(2):
        mask = sum(1 << (number % 32) for number in wanted if number // 32 == half) & had[half]
        data[half] = _Data(mask, mask, 0)
    call("capset", ctypes.byref(_Header(_VERSION_3, 0)), ctypes.byref(data))


def _drop_bound(number: int) -> bool:
    """Take one capability out of the bounding set; False when the kernel knows none of that number."""
    nothing = ctypes.c_ulong(0)
    try:
        call("prctl", _PR_CAPBSET_DROP, ctypes.c_ulong(number), nothing, nothing, nothing)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return False
        raise
    return True


def permitted() -> tuple[int, int]:
    """Give the two halves of this process' permitted set."""
    data = (_Data * 2)()
    call("capget", ctypes.byref(_Header(_VERSION_3, 0)), ctypes.byref(data))
    return data[0].permitted, data[1].permitted


def may(name: str) -> bool:
    """Tell whether this process has a capability."""
    number = _NAMES.index(name)
    return bool(permitted()[number // 32] >> (number % 32) & 1)
