"""Stand-ins for the service tools, in a layer of their own on top of the live tree; and taking their traces out again.

The layer is never promoted. It holds, at their absolute paths, stand-ins for the tools of `_SYSTEMD` or `_SYSV`; under
a diverted name a copy of each real tool; and dpkg's diversions to those names, so that a reinstall of the tools' own
packages writes there and leaves the stand-ins in force (traps A9). Under systemd, `service`, `invoke-rc.d` and
`deb-systemd-invoke` end in systemctl: it alone is replaced there, and policy-rc.d is asked as in any installation.
Without systemd, an init script that is run by its own path (as Puppet does) is led to `service` by a hook of LSB's.
"""

from __future__ import annotations

import os
import re
import shutil
import stat as st
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Callable, NamedTuple

from backout.host import services
from backout.host.stage import Layer, layer_of
from backout.host.tree import is_directory
from backout.model.service import LIVE_ACTIONS, ServiceRequest

_SYSTEMD = (b"systemctl",)
_SYSV = (b"service", b"invoke-rc.d")
_BOOT = (b"update-grub", b"update-initramfs")
_FOLDERS = (b"/usr/bin", b"/usr/sbin", b"/bin", b"/sbin")
_DIVERSIONS = b"/var/lib/dpkg/diversions"
_SUFFIX = b".backout-real"
_DIVERSION_LINES = 3
_HOOKS = b"/lib/lsb/init-functions.d"
_HOOK_NAME = b"01-backout"
_HOOK = b"""\
# Read by init scripts as part of /lib/lsb/init-functions. The name and the action are found as 40-systemd finds them.
case $(readlink -f "${__init_d_script_name:-$0}") in /etc/init.d/*)
	case ${1:-} in start|stop|force-stop|restart|reload|force-reload|try-restart|status)
		exec /usr/sbin/service "$(basename "${__init_d_script_name:-$0}")" "$1" ;;
	esac ;;
esac
"""
_OVERLAY_ORIGIN = (b"trusted.overlay.origin", b"user.overlay.origin")

_ACTIONS = (*LIVE_ACTIONS, "isolate", "reset-failed", "daemon-reload", "daemon-reexec", "run")
_REQUEST = re.compile(r"(?P<action>[a-z-]+(?::[A-Z0-9+]+)?) (?P<unit>[A-Za-z0-9:_.\\@-]{0,255})")


class Shims(NamedTuple):
    """What the sandbox needs in order to put the stand-ins in force.

    `folder` is the layer: for each overlaid mount P for which `folder + P` is a directory, that goes on top of the
    mount's lower layers. `real` are host files to be seen at /dev/.backout/real/NAME, `requests` is the host file to be
    seen, writable by root alone, at /dev/.backout/requests. `diverted` maps each tool to where dpkg would write it.
    """

    folder: bytes
    real: Mapping[bytes, bytes]
    requests: bytes
    diverted: Mapping[bytes, bytes] = {}

    def fill(self) -> None:
        """Write down what the host's services do now, once."""
        units = self.real.get(b"units")
        if units is not None and not os.path.getsize(units):
            with open(units, "wb") as file:
                file.write(services.snapshot() or b"\n")

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Let the stand-ins be answered meanwhile. The host's services are asked at the first question, not before.

        To ask them all takes longer than most rehearsals, of which few ask. Fork before, not within: it is a thread.
        """
        bell = self.real.get(b"bell")
        if bell is None:
            yield
            return
        answerer = _Answerer(self.fill, bell)
        answerer.start()
        try:
            yield
        finally:
            answerer.stop()


class _Answerer(threading.Thread):
    """Waits until a stand-in opens the bell, a FIFO (fifo(7)); makes the answer, and then lets it go on."""

    def __init__(self, fill: Callable[[], None], bell: bytes) -> None:
        super().__init__(name="service-states", daemon=True)
        self._fill, self._bell = fill, bell
        self._over = False
        self._failed: OSError | None = None

    def run(self) -> None:
        """Answer until it is over; a failure must not keep whoever waits waiting."""
        while True:
            descriptor = os.open(self._bell, os.O_WRONLY | os.O_CLOEXEC)  # waits for a reader
            try:
                if self._over:
                    return
                self._fill()
                os.write(descriptor, b"\n")
            except BrokenPipeError:
                pass  # killed while it waited
            except OSError as error:
                self._failed = error
            finally:
                os.close(descriptor)

    def stop(self) -> None:
        """End it; raises what kept it from answering."""
        self._over = True
        descriptor = os.open(self._bell, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self.join()
        os.close(descriptor)
        if self._failed is not None:
            raise self._failed


def build(folder: bytes) -> Shims:
    """Prepare in `folder`, which must not exist yet, the layer, the requests file, and the one for service states.

    Without root there is nothing to stand in for (a user's request to the system's service manager is denied, here and
    live), so the layer is empty. OSError names what could not be read or written.
    """
    os.mkdir(folder, 0o755)
    layer, requests = folder + b"/layer", folder + b"/requests"
    os.mkdir(layer)
    _write(requests, b"")
    if os.geteuid() != 0:
        return Shims(layer, {}, requests)
    units, bell = folder + b"/units", folder + b"/bell"
    _write(units, b"")
    os.mkfifo(bell)
    os.chmod(bell, 0o644)
    _like(b"/", layer)
    tools = _tools()
    taken = _diverted_already(_content(_DIVERSIONS))
    diverted = {tool: tool + _SUFFIX for tool in tools if not taken.intersection(_spellings(tool))}
    _populate(layer, tools, diverted)
    real = {b"units": units, b"bell": bell, **{os.path.basename(tool): tool for tool in tools}}
    if b"systemctl" in real:
        real[b"runlevel"] = real[b"systemctl"]
    return Shims(layer, real, requests, diverted)


def remove_traces(layers: Sequence[Layer], shims: Shims) -> None:
    """Make the upper layers look as if there had been no stand-ins; after the view was frozen, before it is scanned.

    What was written or removed at a diverted name moves to the tool's own; our lines leave dpkg's diversions; a
    stand-in that was copied up (chmod, touch) gets the tool's bytes; directories forget that they came from our layer.
    """
    for path in _folders_below(shims.folder):
        _forget_origin(_upper(layers, path))
    for tool, elsewhere in shims.diverted.items():
        _bring_home(_upper(layers, elsewhere), _upper(layers, tool))
    for tool in (path for path in shims.real.values() if os.path.dirname(path) in _FOLDERS):
        _give_bytes(_upper(layers, tool), tool)
    _drop(_upper(layers, os.path.join(os.path.realpath(_HOOKS), _HOOK_NAME)))
    for path in (_DIVERSIONS, _DIVERSIONS + b"-old"):
        _strip_file(_upper(layers, path))


def strip_diversions(content: bytes) -> bytes:
    """Take our lines out of the content of dpkg's diversions file (three lines each: name, diverted name, package)."""
    lines = content.splitlines(keepends=True)
    entries = [lines[at : at + _DIVERSION_LINES] for at in range(0, len(lines), _DIVERSION_LINES)]
    return b"".join(line for entry in entries if not _is_ours(entry) for line in entry)


def read_requests(path: bytes) -> tuple[ServiceRequest, ...]:
    """Read what was asked of the service manager, in order; whatever else the command wrote there is passed over."""
    found: list[ServiceRequest] = []
    for line in _content(path).decode("ascii", "replace").splitlines():
        match = _REQUEST.fullmatch(line)
        if match and match["action"].partition(":")[0] in _ACTIONS:
            found.append(ServiceRequest(match["action"], match["unit"]))
    return tuple(found)


def _text() -> bytes:
    """Read the stand-ins' text, which lies beside this module, in a zipapp too."""
    ours: Any = sys.modules[__name__].__spec__  # what pkgutil.get_data asks, without its imports
    content: bytes = ours.loader.get_data(os.path.join(os.path.dirname(__file__), "shims.sh"))
    return content


def _tools() -> list[bytes]:
    """Find the tools to stand in for, each by the one name under which it really lies (merged /usr)."""
    wanted = {services.SYSTEMD: _SYSTEMD, services.SYSV: _SYSV}.get(services.manager(), ()) + _BOOT
    found = (os.path.join(folder, name) for name in wanted for folder in _FOLDERS)
    return list(dict.fromkeys(os.path.realpath(path) for path in found if os.path.isfile(path)))


def _spellings(tool: bytes) -> list[bytes]:
    """Name a tool as any package may: /usr/bin/systemctl is /bin/systemctl to packages older than merged /usr."""
    name = os.path.basename(tool)
    same = (os.path.join(folder, name) for folder in _FOLDERS if os.path.realpath(folder) == os.path.dirname(tool))
    return list(dict.fromkeys([tool, *same]))


def _diverted_already(content: bytes) -> frozenset[bytes]:
    lines = content.splitlines()
    return frozenset(lines[0::_DIVERSION_LINES] + lines[1::_DIVERSION_LINES])


def _populate(layer: bytes, tools: Sequence[bytes], diverted: Mapping[bytes, bytes]) -> None:
    text = _text()
    folders = [_parents(layer, tool) for tool in tools]
    for tool in tools:
        _write(layer + tool, text, 0o755)
    for tool, elsewhere in diverted.items():
        shutil.copy2(tool, layer + elsewhere)
        status = os.stat(tool)
        os.chown(layer + elsewhere, status.st_uid, status.st_gid)
    hooks = os.path.realpath(_HOOKS)
    if any(os.path.basename(tool) == b"service" for tool in tools) and os.path.isdir(hooks):
        folders.append(_parents(layer, os.path.join(hooks, _HOOK_NAME)))
        _write(os.path.join(layer + hooks, _HOOK_NAME), _HOOK)
    if diverted and os.path.isdir(os.path.dirname(_DIVERSIONS)):
        folders.append(_parents(layer, _DIVERSIONS))
        ours = [b"%s\n%s\n:\n" % (name, name + _SUFFIX) for tool in diverted for name in _spellings(tool)]
        _write(layer + _DIVERSIONS, _content(_DIVERSIONS) + b"".join(ours))
    # Last, for writing into a directory changes its times.
    for folder in dict.fromkeys(reversed([folder for chain in folders for folder in chain])):
        _like(folder, layer + folder)


def _parents(layer: bytes, path: bytes) -> list[bytes]:
    """Make a path's directories in the layer; give them, outermost first."""
    chain: list[bytes] = []
    folder = os.path.dirname(path)
    while folder != b"/":
        chain.insert(0, folder)
        folder = os.path.dirname(folder)
    for folder in chain:
        os.makedirs(layer + folder, exist_ok=True)
    return [b"/", *chain]


def _like(source: bytes, target: bytes) -> None:
    """Give a directory the owner, mode, attributes and times of another: a merged one shows those of its top layer."""
    status = os.stat(source)
    os.chown(target, status.st_uid, status.st_gid)
    os.chmod(target, st.S_IMODE(status.st_mode))
    for key in os.listxattr(source):
        if not key.startswith(("trusted.overlay.", "user.overlay.")):
            os.setxattr(target, key, os.getxattr(source, key))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _upper(layers: Sequence[Layer], path: bytes) -> bytes | None:
    """Name where a path's changes lie; None when its mount has no layer, or the command left no folder on the way.

    A link that it left there may lead out of the layer, to the host itself.
    """
    layer = layer_of(path, layers)
    if layer is None:
        return None
    upper = layer.upper + path[len(layer.point.rstrip(b"/")) :]
    return upper if is_directory(os.path.dirname(upper)) else None


def _folders_below(layer: bytes) -> list[bytes]:
    return [folder[len(layer) :] or b"/" for folder, _, _ in os.walk(layer)]


def _bring_home(elsewhere: bytes | None, tool: bytes | None) -> None:
    """Move what lies at the diverted name, a whiteout too, to the tool's own name, unless that was written itself."""
    if elsewhere is None or tool is None or not os.path.lexists(elsewhere):
        return
    if os.path.lexists(tool) and not _is_shim(tool):
        os.unlink(elsewhere)
        return
    _forget_origin(elsewhere)
    os.rename(elsewhere, tool)


def _give_bytes(copy: bytes | None, tool: bytes) -> None:
    if copy is None or not _is_shim(copy):
        return
    status = os.stat(copy)
    shutil.copyfile(tool, copy)
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    _forget_origin(copy)


def _drop(path: bytes | None) -> None:
    """Remove what the command left of a file that only our layer has: a copy of it, or a whiteout."""
    if path is not None and os.path.lexists(path):
        os.unlink(path)


def _is_shim(path: bytes) -> bool:
    return _content(path) == _text()


def _strip_file(path: bytes | None) -> None:
    if path is None:
        return
    content = _content(path)
    stripped = strip_diversions(content)
    if stripped == content:
        return
    status = os.stat(path)
    with open(path, "wb") as file:
        file.write(stripped)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    _forget_origin(path)


def _forget_origin(path: bytes | None) -> None:
    if path is None or not os.path.lexists(path):
        return
    for key in set(map(os.fsencode, os.listxattr(path, follow_symlinks=False))).intersection(_OVERLAY_ORIGIN):
        os.removexattr(path, key, follow_symlinks=False)


def _is_ours(entry: Sequence[bytes]) -> bool:
    names = [line.rstrip(b"\n") for line in entry]
    return len(names) == _DIVERSION_LINES and names[1] == names[0] + _SUFFIX and names[2] == b":"


def _content(path: bytes) -> bytes:
    """Read a regular file; empty when there is none. A whiteout or a link that the command left is neither."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with open(descriptor, "rb") as file:
        return file.read() if st.S_ISREG(os.fstat(descriptor).st_mode) else b""


def _write(path: bytes, content: bytes, mode: int = 0o644) -> None:
    with open(path, "xb") as file:
        file.write(content)
    os.chmod(path, mode)
