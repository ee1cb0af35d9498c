"""Reading paths exactly: states, walks that never follow a symlink, and file handles. Bytes all the way."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import stat as st
from collections.abc import Iterator
from typing import Callable, NamedTuple

from backout.host import libc
from backout.model.state import State

_OVERLAY_XATTRS = (b"trusted.overlay.",) if os.geteuid() == 0 else (b"trusted.overlay.", b"user.overlay.")
"""With root, overlayfs keeps to the first: what is under the other is the host's own (overlayfs.rst, "userxattr")."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""What the kernel says of a folder that is not there, or was replaced by a file or a link."""
_TYPES: tuple[tuple[Callable[[int], bool], str], ...] = (
    (st.S_ISREG, "file"),
    (st.S_ISDIR, "dir"),
    (st.S_ISLNK, "symlink"),
    (st.S_ISFIFO, "fifo"),
    (st.S_ISSOCK, "socket"),
    (st.S_ISCHR, "char"),
    (st.S_ISBLK, "block"),
)


class Name(NamedTuple):
    """A name in an open directory: the way to touch a path without following links or meeting PATH_MAX."""

    directory: int
    name: bytes

    @property
    def path(self) -> bytes:
        """Give a path for the calls that take no directory descriptor."""
        return b"/proc/self/fd/%d/%s" % (self.directory, self.name)

    def lstat(self) -> os.stat_result | None:
        """Give what is there, without following a link; None when nothing is."""
        try:
            return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None


@contextlib.contextmanager
def held(name: Name) -> Iterator[int]:
    """Hold what is at a name, a link itself too, without opening it (open(2), O_PATH): whoever swaps it swaps a name.

    What is done at `reached` is done to what is held.
    """
    descriptor = os.open(name.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=name.directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def reached(descriptor: int) -> bytes:
    """Give a path to what is held, for the calls that refuse a descriptor of that kind; a held link is not followed."""
    return b"/proc/self/fd/%d" % descriptor


def open_file(name: Name, flags: int = os.O_RDONLY) -> int:
    """Open a regular file and nothing else: no link is followed, and no pipe put in its place is waited for."""
    with held(name) as descriptor:
        if not st.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.ESTALE, "it is no file, or none any more", name.name)
        return os.open(reached(descriptor), flags | os.O_CLOEXEC)


def open_directory(name: Name) -> int:
    """Open a directory for reading; never through a symlink. OSError when it is not one."""
    return os.open(name.name, _DIRECTORY, dir_fd=name.directory)


def open_path(path: bytes, *, make: bool = False, through: bool = False) -> int:
    """Open a directory by absolute path, component by component, none of them a symlink (traps C9, PATH_MAX).

    Nor one of them `..`: no path of ours climbs. With `make`, those that are missing are made, for us alone. Those on
    the way are only gone through: this user need not be able to list them; with `through`, nor the last.
    """
    parts = [part for part in path.split(b"/") if part]
    if b".." in parts:
        raise OSError(errno.EINVAL, "a path that climbs", path)
    descriptor = os.open(b"/", _DIRECTORY)
    try:
        for number, part in enumerate(parts, 1):
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=descriptor)
            how = os.O_PATH if through or number < len(parts) else 0
            deeper = os.open(part, _DIRECTORY | how, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


class Parents:
    """Opens the parent directory of one path after another, keeping the last one: plans come sorted."""

    def __init__(self) -> None:
        """Start with nothing open."""
        self._path: bytes | None = None
        self._descriptor = -1

    def name(self, path: bytes) -> Name:
        """Give the path's name in its opened parent; valid until the next call. OSError when the parent is gone."""
        parent, _, last = path.rpartition(b"/")
        if parent != self._path:
            try:
                descriptor = open_path(parent)
            except PermissionError:
                descriptor = open_path(parent, through=True)
            self.close()
            self._path, self._descriptor = parent, descriptor
        return Name(self._descriptor, last or b".")

    def close(self) -> None:
        """Close what is open."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._path, self._descriptor = None, -1


def names(directory: int) -> list[bytes]:
    """List an open directory, sorted."""
    return sorted(os.fsencode(name) for name in os.listdir(directory))


def file_type(status: os.stat_result) -> str:
    """Name the type of a path as effects do."""
    return next(word for test, word in _TYPES if test(status.st_mode))


def is_directory(path: bytes) -> bool:
    """Tell whether a directory is at an absolute path, no link on the way followed."""
    try:
        os.close(open_path(path))
    except OSError as error:
        if error.errno not in GONE:
            raise
        return False
    return True


def xattrs(path: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Read all extended attributes but overlayfs' own of what is `reached` at a path, sorted by name."""
    found = [(key, value) for key, value in _all_xattrs(path) if not key.startswith(_OVERLAY_XATTRS)]
    return tuple(sorted(found))


def overlay_xattr(name: Name, key: bytes) -> bytes | None:
    """Read one of overlayfs' own attributes (opaque, origin, whiteout …), whichever prefix it has."""
    for prefix in _OVERLAY_XATTRS:
        try:
            return os.getxattr(name.path, prefix + key, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.ENOTSUP, errno.EPERM):
                raise
    return None


def _all_xattrs(path: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Read every extended attribute; nothing on a file system without them."""
    try:
        keys = os.listxattr(path)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM):
            return
        raise
    for key in keys:
        yield os.fsencode(key), os.getxattr(path, key)


def strip_overlay_xattrs(name: Name) -> None:
    """Remove overlayfs' own attributes, so that none leaks onto the host (traps B3)."""
    with held(name) as descriptor:
        path = reached(descriptor)
        for key, _ in list(_all_xattrs(path)):
            if key.startswith(_OVERLAY_XATTRS):
                os.removexattr(path, key)


def sha256_of(descriptor: int, size: int) -> str:
    """Hash the first so many bytes of an open file, in as few system calls as there can be."""
    digest, offset = hashlib.sha256(), 0
    while offset < size:
        chunk = os.pread(descriptor, min(_CHUNK, size - offset), offset)
        if not chunk:
            break
        digest.update(chunk)
        offset += len(chunk)
    return digest.hexdigest()


def _sha256_at(path: bytes, size: int) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return sha256_of(descriptor, size)
    finally:
        os.close(descriptor)


def state_of(name: Name) -> State | None:
    """Read the whole state of a path, of one inode; None when nothing is there. Unreadable content is an OSError."""
    try:
        with held(name) as descriptor:
            return _state_of(descriptor)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _state_of(descriptor: int) -> State:
    status, path = os.fstat(descriptor), reached(descriptor)
    kind = file_type(status)
    device = kind in ("char", "block")
    return State(
        type=kind,
        mode=st.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size if kind == "file" else 0,
        sha256=_sha256_at(path, status.st_size) if kind == "file" else None,
        target=os.readlink(b"", dir_fd=descriptor) if kind == "symlink" else None,
        rdev=(os.major(status.st_rdev), os.minor(status.st_rdev)) if device else None,
        xattrs=xattrs(path),
        mtime_ns=status.st_mtime_ns,
    )


class _FileHandle(ctypes.Structure):
    """struct file_handle of name_to_handle_at(2)."""

    _fields_ = (("handle_bytes", ctypes.c_uint), ("handle_type", ctypes.c_int), ("f_handle", ctypes.c_ubyte * 128))


def file_handle(name: Name) -> bytes | None:
    """Give the file system's own handle of a path; None where it has none."""
    handle = _FileHandle(handle_bytes=128)
    mount_id = ctypes.c_int()
    try:
        libc.call("name_to_handle_at", name.directory, name.name, ctypes.byref(handle), ctypes.byref(mount_id), 0)
    except OSError:
        return None
    return bytes(handle.f_handle[: handle.handle_bytes])


_ORIGIN_HEADER_BYTES = 21
"""version, magic, length, flags.

Type (a byte each) and the file system's UUID before the handle (fs/overlayfs/overlayfs.h).
"""


def origin_handle(origin: bytes | None) -> bytes | None:
    """Read overlayfs' `origin`: the file handle of the inode that was copied up; None when it cannot be told."""
    return origin[_ORIGIN_HEADER_BYTES:] if origin and len(origin) > _ORIGIN_HEADER_BYTES else None


def is_origin(origin: bytes | None, live: Name) -> bool:
    """Tell whether `live` is the inode that an `origin` names; True where nobody can tell (traps C1)."""
    copied = origin_handle(origin)
    if copied is None:
        return True
    handle = file_handle(live)
    return handle is None or copied == handle


def below(root: bytes) -> Iterator[tuple[bytes, Name]]:
    """Walk everything below a directory, parents first; the names are valid only while they are the current one."""
    stack: list[tuple[bytes, int, list[bytes]]] = []
    try:
        top = open_path(root)
        stack.append((root, top, names(top)[::-1]))
        while stack:
            path, descriptor, left = stack[-1]
            if not left:
                stack.pop()
                os.close(descriptor)
                continue
            name = Name(descriptor, left.pop())
            child = path.rstrip(b"/") + b"/" + name.name
            yield child, name
            status = name.lstat()
            if status is not None and st.S_ISDIR(status.st_mode):
                deeper = open_directory(name)
                stack.append((child, deeper, names(deeper)[::-1]))
    finally:
        for _, descriptor, _ in stack:
            os.close(descriptor)
