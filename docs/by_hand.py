# ruff: noqa: ANN001, ANN201, INP001, T201 - shown in "Recovery by hand", to be read and copied: short and plain
"""Take a change back by its plan.json, without backout: say what would be done, and do it with --do."""

import ctypes
import json
import os
import sys

NOREPLACE, EXCHANGE = 1, 2  # linux/fs.h
HERE = -100  # AT_FDCWD
libc = ctypes.CDLL(None, use_errno=True)


def inode(path):
    """Give the inode at a path; None when nothing is there."""
    return os.lstat(path).st_ino if os.path.lexists(path) else None


def rename(old, new, flag):
    """Rename or exchange, never overwriting anything."""
    if libc.renameat2(HERE, os.fsencode(old), HERE, os.fsencode(new), flag) != 0:
        raise OSError(ctypes.get_errno(), "rename failed", old)


def back(step):
    """Say how a step is undone, as a sentence and what does it; None when it is not done, or undone already."""
    path, staged = step["path"], step["staged"]
    here, there = inode(path), inode(staged)
    if step["expect"] is None:
        if here == step["want_inode"] and there is None:
            return f"move {path} away to {staged}", lambda: rename(path, staged, NOREPLACE)
    elif step["want"] is None:
        if here is None and there is not None:
            return f"bring {path} back from {staged}", lambda: rename(staged, path, NOREPLACE)
    elif here == step["want_inode"] and there is not None:
        return f"exchange {path} and {staged}", lambda: rename(path, staged, EXCHANGE)
    return None


def main():
    """Walk the plan from its last step to its first."""
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    if plan["format"] != 1:
        sys.exit("This plan has a newer format; see FORMATS.md of the backout that wrote it.")
    for step in reversed(plan["steps"]):
        if step["step"] != "switch":
            print("by hand:", json.dumps(step))
            continue
        found = back(step)
        if found:
            print(found[0])
            if "--do" in sys.argv:
                found[1]()
    for path, before_ns, _ in plan["times"]:
        if "--do" in sys.argv:
            os.utime(path, ns=(os.lstat(path).st_atime_ns, before_ns))


main()
