"""The first code of ours on a host that is reached by ssh: finds the host half there, or takes it in, and becomes it.

It is sent as text, ahead of everything else, and must stand alone. The host half is a zip file that is named by its
SHA-256. What lies on the host is read and verified each time before any of it is executed; what is wrong is replaced.

Compiling it is most of what a contact costs. So the host compiles it once, from what was verified, into a second file
beside it, named by the first one's hash, the interpreter's byte code and its own hash: that is verified as well. What
is imported are the very bytes that were verified: the file is not asked again, also where a view hides it.
"""

from __future__ import annotations

import gc
import hashlib
import marshal
import os
import stat
import sys
import time
from _frozen_importlib import ModuleSpec  # importlib.machinery and importlib.util have them, and import more
from _frozen_importlib_external import MAGIC_NUMBER
from collections.abc import Iterator
from types import ModuleType

WORD = "backout.boot/1"
"""What begins every line that is meant for the controller, among whatever a login shell prints."""
UNUSED_S = 30 * 86400
_CHUNK = 1 << 16
_KEPT = (".pyz", ".code")


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


def whole(path: str, sha256: str) -> bytes | None:
    """Read a file that is there and is what its name says; None otherwise."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    return content if hashlib.sha256(content).hexdigest() == sha256 else None


def take_in(path: str, sha256: str, size: int) -> bytes | None:
    """Read so many bytes from the link, and keep them under their name if they are what it says: durably, or not."""
    content = bytearray()
    while len(content) < size:
        chunk = os.read(0, min(_CHUNK, size - len(content)))
        if not chunk:
            raise SystemExit(1)  # the link was cut: nothing was written yet
        content += chunk
    if hashlib.sha256(content).hexdigest() != sha256:
        return None
    keep(path, bytes(content))
    forget_unused(os.path.dirname(path))
    return whole(path, sha256)


def keep(path: str, content: bytes) -> None:
    """Write a file, durably, or not at all."""
    beside = f"{path}.{os.getpid()}"
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def compiled(path: str, half: bytes) -> bytes:
    """Compile a host half that was verified, and keep its files by their names, where there is room beside it."""
    import contextlib
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(half)) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    for name, content in parts.items():
        if name.endswith(".py"):
            parts[name] = marshal.dumps(compile(content, name, "exec", dont_inherit=True))
    code = marshal.dumps(parts)
    with contextlib.suppress(OSError):  # it goes as well without, only not as quickly
        keep(f"{code_of(path)}{hashlib.sha256(code).hexdigest()}.code", code)
    return code


def code_of(path: str) -> str:
    """Give what the names of a host half's byte code for this interpreter begin with."""
    return f"{path[: -len('.pyz')]}.{MAGIC_NUMBER.hex()}."


def whole_code(path: str) -> bytes | None:
    """Read a host half's byte code that is there and is what its name says; what is not is taken away."""
    folder, begin = os.path.split(code_of(path))
    for name in sorted(os.listdir(folder)):
        if name.startswith(begin) and name.endswith(".code"):
            found = os.path.join(folder, name)
            code = whole(found, name[len(begin) : -len(".code")])
            if code is not None:
                os.utime(found)
                return code
            os.unlink(found)
    return None


class Folder:
    """A folder of the host half, from which modules are imported as the import system asks for it (PEP 451)."""

    def __init__(self, parts: dict[str, bytes], path: str) -> None:
        """Name the folder by where it seems to lie: below the host half."""
        self._parts, self._path = parts, path

    def find_spec(self, name: str, _: ModuleType | None = None) -> ModuleSpec | None:
        """Find a module or package."""
        inner = f"{self._path}/{name.rpartition('.')[2]}"
        for origin, places in ((f"{inner}.py", None), (f"{inner}/__init__.py", [inner])):
            if origin in self._parts:
                spec = ModuleSpec(name, self, origin=origin)  # type: ignore[arg-type]  # it is a loader, and no class of one
                spec.submodule_search_locations = places
                return spec
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """Let modules be made as ever."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill a module."""
        assert module.__spec__ is not None  # noqa: S101 - it comes from there
        module.__file__ = str(module.__spec__.origin)
        exec(marshal.loads(self._parts[module.__file__]), vars(module))  # noqa: S102, S302 - verified

    def get_data(self, path: str) -> bytes:
        """Read what lies beside modules."""
        return self._parts[path]

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """Name the modules here, as pkgutil asks for them, and say which are packages."""
        for path in self._parts:
            is_package = path.endswith("/__init__.py")
            folder, _, name = path[: -len("/__init__.py" if is_package else ".py")].rpartition("/")
            if folder == self._path and path.endswith(".py") and name != "__init__":
                yield prefix + name, is_package


def let_import(code: bytes, path: str) -> None:
    """Let the host half of this byte code be imported, as if it lay at that path."""
    parts = {f"{path}/{name}": content for name, content in marshal.loads(code).items()}  # noqa: S302 - verified

    def folder(asked: str) -> Folder:
        if asked != path and not asked.startswith(f"{path}/"):
            raise ImportError(asked)
        return Folder(parts, asked)

    sys.path_hooks.insert(0, folder)
    sys.path.insert(0, path)


def forget_unused(folder: str) -> None:
    """Let go of the host halves of other releases that nobody has used for a month: each use sets the time anew."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if any(kind in name for kind in _KEPT) and os.lstat(path).st_mtime < time.time() - UNUSED_S:
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
        half = whole(path, sha256)
        if half is None:
            say("want")
            half = take_in(path, sha256, size)
        if half is None:
            say("damaged")
            raise SystemExit(1)
        code = whole_code(path) or compiled(path, half)
        os.utime(path)
    except OSError as error:
        say("unwritable", f"{path}: {error.strerror}")
        raise SystemExit(1) from None
    say("have")
    forget_coercion()
    gc.disable()  # it would look for cycles through all that is imported, and later through all that is known of paths
    sys.dont_write_bytecode = True
    let_import(code, path)
    from backout.host.relay import main

    main()
