"""The first code of ours on a host that is reached by ssh: finds the host half there, or takes it in, and becomes it.

It is sent as text, ahead of everything else, and must stand alone. The host half is a zip file that is named by its
SHA-256. What lies on the host is read and verified each time before any of it is executed; what is wrong is replaced.

Compiling it is most of what a contact costs. So the host compiles it once, from what was verified, into a second file
beside it, named by the first one's hash, the interpreter's byte code and its own hash: that is verified as well, and
then takes the first one's place.
"""

from __future__ import annotations

import gc
import hashlib
import io
import marshal
import os
import stat
import sys
import time
from importlib.util import MAGIC_NUMBER

WORD = "backout.boot/1"
"""What begins every line that is meant for the controller, among whatever a login shell prints."""
UNUSED_S = 30 * 86400
_CHUNK = 1 << 16
_NEVER_CHECKED = b"\1" + bytes(11)
"""What follows the magic number in byte code that belongs to its archive, and to no source beside it (PEP 552)."""


def say(*words: str) -> None:
    """Tell the controller; on a line of its own, whatever was printed before."""
    os.write(1, ("\n" + " ".join((WORD, *words)) + "\n").encode(errors="replace"))


def cache_folder() -> str:
    """Name where host halves are kept: the user's cache, root's own below /var/cache."""
    own = "/var/cache" if os.geteuid() == 0 else os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or own, "backout")


def require_private(folder: str) -> None:
    """Make the folder, for us alone; PermissionError when somebody else could put something there."""
    os.makedirs(folder, 0o700, exist_ok=True)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(0, "others may write there", folder)


def is_whole(path: str, sha256: str) -> bool:
    """Tell whether the file is there and is what its name says."""
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest() == sha256
    except FileNotFoundError:
        return False


def take_in(path: str, sha256: str, size: int) -> bool:
    """Read so many bytes from the link, and keep them under their name if they are what it says: durably, or not."""
    content = bytearray()
    while len(content) < size:
        chunk = os.read(0, min(_CHUNK, size - len(content)))
        if not chunk:
            raise SystemExit(1)  # the link was cut: nothing was written yet
        content += chunk
    if hashlib.sha256(content).hexdigest() != sha256:
        return False
    keep(path, bytes(content))
    forget_unused(os.path.dirname(path))
    return is_whole(path, sha256)


def keep(path: str, content: bytes) -> None:
    """Write a file, durably, or not at all."""
    beside = f"{path}.{os.getpid()}"
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def compiled(path: str) -> str:
    """Compile a host half that was verified; gives the path of the file with its byte code.

    Without any means of compression, which would cost more than it saves; and as it was, where there is no room for it.
    """
    import zipfile

    made = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(made, "w") as archive:
        for part in source.infolist():
            name, content = part.filename, source.read(part)
            if name.endswith(".py"):
                code = marshal.dumps(compile(content, name, "exec", dont_inherit=True))
                name, content = name + "c", MAGIC_NUMBER + _NEVER_CHECKED + code
            archive.writestr(zipfile.ZipInfo(name, part.date_time), content)
    beside = f"{code_of(path)}{hashlib.sha256(made.getvalue()).hexdigest()}.pyz"
    try:
        keep(beside, made.getvalue())
    except OSError:
        return path
    return beside


def code_of(path: str) -> str:
    """Give what the names of a host half's byte code for this interpreter begin with."""
    return f"{path[: -len('.pyz')]}.{MAGIC_NUMBER.hex()}."


def whole_code(path: str) -> str | None:
    """Find a host half's byte code that is there and is what its name says; what is not is taken away."""
    folder, begin = os.path.split(code_of(path))
    for name in sorted(os.listdir(folder)):
        if name.startswith(begin) and name.endswith(".pyz"):
            found = os.path.join(folder, name)
            if is_whole(found, name[len(begin) : -len(".pyz")]):
                return found
            os.unlink(found)
    return None


def forget_unused(folder: str) -> None:
    """Let go of the host halves of other releases that nobody has used for a month: each use sets the time anew."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if ".pyz" in name and os.lstat(path).st_mtime < time.time() - UNUSED_S:
            os.unlink(path)


def forget_coercion() -> None:
    """Take out of the environment what this interpreter put there for itself (PEP 538): commands have the login's."""
    with open("/proc/self/environ", "rb") as file:
        given = [line.partition(b"=")[0] for line in file.read().split(bytes(1))]
    if b"LC_CTYPE" not in given:
        os.environ.pop("LC_CTYPE", None)


def load(sha256: str, size: int) -> None:
    """Become the host half of that hash; it is asked for when it is not here yet."""
    path = os.path.join(cache_folder(), sha256 + ".pyz")
    try:
        require_private(os.path.dirname(path))
        if not is_whole(path, sha256):
            say("want")
            if not take_in(path, sha256, size):
                say("damaged")
                raise SystemExit(1)
        code = whole_code(path) or compiled(path)
        for used in (path, code):
            os.utime(used)
    except OSError as error:
        say("unwritable", f"{path}: {error.strerror}")
        raise SystemExit(1) from None
    say("have")
    forget_coercion()
    gc.disable()  # it would look for cycles through all that is imported, and later through all that is known of paths
    sys.dont_write_bytecode = True
    sys.path.insert(0, code)
    from backout.host.relay import main

    main()
