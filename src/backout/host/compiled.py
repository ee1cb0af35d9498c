"""A host half as byte code: made once on each host from what was verified, and imported from memory.

Compiling it is most of what a contact would cost. So what came of that is kept in a second file beside it, named by the
first one's hash, the interpreter's byte code and its own hash: that is verified as well (`host.loader`, which executes
this file before anything can be imported: it must stand alone, too). What is imported are the very bytes that were
verified: no file is asked again, also where a view hides it.
"""

from __future__ import annotations

import gc
import hashlib
import marshal
import os
import sys
from _frozen_importlib import ModuleSpec  # importlib.machinery and importlib.util have them, and import more
from _frozen_importlib_external import MAGIC_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

UNUSED_S = 30 * 86400
_KEPT = (".pyz", ".code")
_LENGTH = 8


def keep_half(path: str, half: bytes) -> None:
    """Keep a host half that has come and was verified, and let go of what nobody uses."""
    _keep(path, half)
    _forget_unused(os.path.dirname(path))


def _keep(path: str, content: bytes) -> None:
    """Write a file, durably, or not at all."""
    beside = f"{path}.{os.getpid()}"
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def _forget_unused(folder: str) -> None:
    """Let go of the host halves of other releases that nobody has used for a month: each use sets the time anew."""
    import time

    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if any(kind in name for kind in _KEPT) and os.lstat(path).st_mtime < time.time() - UNUSED_S:
            os.unlink(path)


def compiled(path: str, half: bytes) -> bytes:
    """Compile a host half that was verified, and keep what comes of it, where there is room beside it.

    First the length of a list, in 8 bytes; then the list, of where each file begins and ends in what follows.
    """
    import contextlib
    import io
    import zipfile

    parts, places, end = [], {}, 0
    with zipfile.ZipFile(io.BytesIO(half)) as source:
        for name in source.namelist():
            part = source.read(name)
            if name.endswith(".py"):
                part = marshal.dumps(compile(part, name, "exec", dont_inherit=True))
            places[name] = end, end + len(part)
            end += len(part)
            parts.append(part)
    where = marshal.dumps(places)
    code = b"".join([len(where).to_bytes(_LENGTH, "big"), where, *parts])
    with contextlib.suppress(OSError):  # it goes as well without, only not as quickly
        _keep(f"{path[: -len('.pyz')]}.{MAGIC_NUMBER.hex()}.{hashlib.sha256(code).hexdigest()}.code", code)
    return code


class Folder:
    """A folder of the host half, from which modules are imported as the import system asks for it (PEP 451)."""

    def __init__(self, parts: Mapping[str, memoryview], path: str) -> None:
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
        return bytes(self._parts[path])

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """Name the modules here, as pkgutil asks for them, and say which are packages."""
        for path in self._parts:
            is_package = path.endswith("/__init__.py")
            folder, _, name = path[: -len("/__init__.py" if is_package else ".py")].rpartition("/")
            if folder == self._path and path.endswith(".py") and name != "__init__":
                yield prefix + name, is_package


def let_import(path: str, parts: Mapping[str, memoryview]) -> None:
    """Let a host half be imported, as if its files lay at that path."""
    there = {f"{path}/{name}": content for name, content in parts.items()}

    def folder(asked: str) -> Folder:
        if asked != path and not asked.startswith(f"{path}/"):
            raise ImportError(asked)
        return Folder(there, asked)

    sys.path_hooks.insert(0, folder)
    sys.path.insert(0, path)


def _forget_coercion() -> None:
    """Take out of the environment what this interpreter put there for itself (PEP 538): commands have the login's."""
    with open("/proc/self/environ", "rb") as file:
        given = [line.partition(b"=")[0] for line in file.read().split(bytes(1))]
    if b"LC_CTYPE" not in given:
        os.environ.pop("LC_CTYPE", None)


def become(path: str, parts: Mapping[str, memoryview]) -> None:
    """Be the host half that has these files."""
    _forget_coercion()
    gc.disable()  # it would look for cycles through all that is imported, and later through all that is known of paths
    sys.dont_write_bytecode = True
    let_import(path, parts)
    from backout.host.relay import main

    main()
