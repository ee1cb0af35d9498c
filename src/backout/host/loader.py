"""The first code of ours on a host that is reached by ssh: finds the host half there, or takes it in, and becomes it.

It is sent as text, ahead of everything else, and must stand alone. It is short: each contact compiles it anew. The host
half is a zip file that is named by its SHA-256. What lies on the host is read and verified each time before any of it
is executed; what is wrong is replaced. The same goes for the byte code that a host makes of it (`host.compiled`).
"""

from __future__ import annotations

import hashlib
import marshal
import os
import stat
import sys
from _frozen_importlib_external import MAGIC_NUMBER  # importlib.util has it, and imports more

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType

WORD = "backout.boot/1"
"""What begins every line that is meant for the controller, among whatever a login shell prints."""
_REST = "backout/host/compiled.py"
_CHUNK = 1 << 16
_LENGTH = 8


def say(*words: str) -> None:
    """Tell the controller; on a line of its own, whatever was printed before."""
    os.write(1, ("\n" + " ".join((WORD, *words)) + "\n").encode(errors="replace"))


def require_private(folder: str) -> None:
    """Make the folder, for us alone; PermissionError when somebody else could put something there."""
    os.makedirs(folder, 0o700, exist_ok=True)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(0, "others may write there", folder)


def is_whole(path: str, sha256: str) -> bool:
    """Tell whether a file is there and is what its name says; it is not kept, since memory that is new costs time."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb", 0) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return False
    return digest.hexdigest() == sha256


def whole(path: str, sha256: str) -> bytes | None:
    """Read a file that is there and is what its name says; None otherwise."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    return content if hashlib.sha256(content).hexdigest() == sha256 else None


def whole_code(path: str) -> bytes | None:
    """Read the byte code for this interpreter that is what its name says; what is not is taken away."""
    folder, half = os.path.split(path)
    begin = f"{half[: -len('.pyz')]}.{MAGIC_NUMBER.hex()}."
    for name in sorted(os.listdir(folder)):
        if name.startswith(begin) and name.endswith(".code"):
            found = os.path.join(folder, name)
            code = whole(found, name[len(begin) : -len(".code")])
            if code is not None:
                os.utime(found)
                return code
            os.unlink(found)
    return None


def taken_in(sha256: str, size: int) -> bytes:
    """Read the host half from the link; what is not what it was said to be ends all."""
    say("want")
    content = bytearray()
    while len(content) < size:
        content += os.read(0, min(_CHUNK, size - len(content))) or sys.exit(1)  # cut: nothing was written yet
    if hashlib.sha256(content).hexdigest() != sha256:
        say("damaged")
        sys.exit(1)
    return bytes(content)


def executed(code: str | bytes | CodeType) -> ModuleType:
    """Execute what a host half needs before it can be imported (`host.compiled`), and give what it has."""
    module = type(sys)("compiled")
    exec(code, vars(module))  # noqa: S102 - of what was verified
    return module


def code_of(path: str, sha256: str, size: int) -> bytes:
    """Read a host half's byte code; where there is none, read the half itself, or take it in, and have it compiled."""
    code = whole_code(path) if is_whole(path, sha256) else None
    if code is None:
        import io
        import zipfile

        half = whole(path, sha256)
        is_new = half is None
        half = half or taken_in(sha256, size)
        rest = executed(zipfile.ZipFile(io.BytesIO(half)).read(_REST))
        if is_new:
            rest.keep_half(path, half)
        code = rest.compiled(path, half)
    return code


def parts_of(code: bytes) -> dict[str, memoryview]:
    """Tell the files in byte code apart, by their names: a list of where each lies comes first (`host.compiled`)."""
    size = int.from_bytes(code[:_LENGTH], "big") + _LENGTH
    places, content = marshal.loads(code[_LENGTH:size]), memoryview(code)[size:]  # noqa: S302 - verified
    return {name: content[begin:end] for name, (begin, end) in places.items()}


def load(sha256: str, size: int) -> None:
    """Become the host half of that hash; it is asked for when it is not here yet."""
    own = "/var/cache" if os.geteuid() == 0 else os.path.join(os.path.expanduser("~"), ".cache")
    path = os.path.join(os.environ.get("XDG_CACHE_HOME") or own, "backout", sha256 + ".pyz")
    try:
        require_private(os.path.dirname(path))
        parts = parts_of(code_of(path, sha256, size))
        os.utime(path)
    except OSError as error:
        say("unwritable", f"{path}: {error.strerror}")
        sys.exit(1)
    say("have")
    executed(marshal.loads(parts[_REST])).become(path, parts)  # noqa: S302 - verified
