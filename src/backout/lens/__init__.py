"""Lenses turn raw effects into meaning: one file a lens, found by being in this folder.

A lens is a module with `RANK` (its place in the one fixed order) and two functions:

`claim(raw, view) -> Claims`
    The effects that the lens sees in the raw effects, and the paths that these explain to the last byte.
    A path is explained only when nothing of its difference is left over; a file shared by many effects (dpkg's status,
    passwd) is named in the `paths` of each and explained only when the records together are the whole difference.
`project(path, before, after, subjects) -> Optional[bytes]`
    The content of a shared file with only the effects on `subjects` in it; None when the path is not this lens's.
"""
