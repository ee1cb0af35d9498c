"""A recorded change, read once: its atoms, where the bits of its other side lie, and whether they are as recorded.

What a change's plan has in the stage is the other side of what is live: of a change that is not in place the new one,
of one that stands the old one.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, Union

from backout.errors import RefusedError, UsageError
from backout.host.archive import Archive
from backout.host.execute import Conflict, Executor
from backout.host.layerview import content
from backout.host.ledger import Ledger
from backout.host.plan import Plan, undo_plan
from backout.host.transact import is_noise, manifest, probe, stop_at_conflicts
from backout.host.tree import GONE, Parents
from backout.lens.meaning import part
from backout.model import atoms as parts
from backout.model.atoms import AFTER, BEFORE, PARTED, Atom, Composing
from backout.model.effect import Effect, RawEffect, effect_from
from backout.model.ledger import KEPT, REFUSED, UNDONE, Change, fold
from backout.model.service import LIVE_ACTIONS, ServiceRequest
from backout.model.state import State
from backout.model.step import Meta, Service, Switch, Write

FileStep = Union[Switch, Write, Meta]


class Bits(NamedTuple):
    """Where the other side of a path lies; None where its state alone says all. `step` is by what it is switched."""

    step: FileStep | None
    staged: bytes | None


NOWHERE = Bits(None, None)
"""Of what an apply leaves alone."""


class Recorded:
    """One change of this host. Nothing is written."""

    def __init__(self, ledger: Ledger, change: Change) -> None:
        """Read it; a UsageError where there is nothing of it to compose from, a ConflictError where it moved on."""
        require_bits(change)
        self.change = change
        self.standing = change.state == KEPT and change.undone_by is None
        archive = Archive(ledger.state, change.id)
        self.applied: Plan = archive.plan(change.body.get("plan"))
        self.raw: dict[bytes, RawEffect] = {effect.path: effect for effect in archive.raw()}
        self.document = archive.document()
        self.effects: tuple[Effect, ...] = tuple(map(effect_from, self.document["effects"]))
        told = {path for effect in self.effects for path in effect.paths}
        if not told.union(os.fsencode(row["path"]) for row in self.document["noise"]) <= self.raw.keys():
            raise archive.damaged(b"effects.json")
        self.output = archive.output()
        self.live, self.laid = (AFTER, BEFORE) if self.standing else (BEFORE, AFTER)
        self.plan = undo_plan(self.applied) if self.standing else self.applied
        barrier_ns = _barrier_ns(ledger, change, self.document)
        raw = self.raw.values()
        turned = [RawEffect(r.path, r.after, r.before) for r in raw] if self.standing else raw
        self._executor = Executor(barrier_ns, manifest(turned), is_noise)
        self._steps = {step.path: step for step in self.plan.steps if not isinstance(step, Service)}
        self._appended = {} if self.standing else {append.path: append.source for append in self.plan.appends}
        self._moved = {os.fsencode(path): what for path, what in change.body.get("moved", {}).items()}
        self._state = ledger.state
        self._bits: dict[bytes, Bits] = {}
        self.fit: set[bytes] = set()
        """Paths whose bits were looked at, and can be seen in a view as they are."""
        self.stage = ledger.state + b"/stage"
        self._trust_what_is_seen_now()

    def close(self) -> None:
        """Close what is open."""
        self._executor.close()

    def _trust_what_is_seen_now(self) -> None:
        """Compare in full once where no time is known since which the host is as we left it."""
        if self._executor.barrier_ns:
            return
        now = probe(self._state)
        self._moved.update(self._executor.verify(self._steps.values()))
        self._executor.barrier_ns = now

    @cached_property
    def atoms(self) -> tuple[Atom, ...]:
        """Cut the change into atoms; the same wherever it is asked, as long as the files that are parted are."""
        noise = [os.fsencode(row["path"]) for row in self.document["noise"]]
        return parts.cut(self.effects, noise, self.raw, self._parted, self.tied)

    @property
    def tied(self) -> list[tuple[bytes, bytes]]:
        """Give the new names of files that keep their live inode, each with the name that the file has there."""
        sources = {relink.staged: relink.source for relink in self.applied.relinks}
        steps = [step for step in self.applied.steps if isinstance(step, Switch) and step.staged in sources]
        return [(step.path, sources[step.staged]) for step in steps]

    @cached_property
    def _sources(self) -> dict[bytes, bytes]:
        return dict(self.tied)

    @property
    def in_place(self) -> set[bytes]:
        """Name what the change writes in place, because it has other names."""
        return {
            step.path for step in self.applied.steps if isinstance(step, (Write, Meta)) and step.expect.type != "dir"
        }

    def limits(self) -> list[str]:
        """Say what is not tried by itself, and what a view of some atoms does not show."""
        sentences = [
            f"{os.fsdecode(path)} cannot be parted: what changed it is tried together."
            for path in sorted(self._shared)
            if path not in self._parted
        ]
        several = sorted({*self.in_place, *(source for _, source in self.tied)})
        if several:
            more = f" (and {len(several) - 1} more)" if len(several) > 1 else ""
            name = os.fsdecode(several[0])
            sentences.append(f"{name}{more} has other names on this host: in a trial these show what is live.")
        if any(isinstance(step, Service) for step in self.applied.steps):
            sentences.append("Requests to the service manager are carried out in no trial.")
        return sentences

    @cached_property
    def _shared(self) -> dict[bytes, list[int]]:
        """Name the files that several effects share, each with these effects."""
        owners: dict[bytes, list[int]] = {}
        for number, effect in enumerate(self.effects):
            for path in effect.paths:
                owners.setdefault(path, []).append(number)
        return {path: held for path, held in owners.items() if len(held) > 1 and _is_file(self.raw[path])}

    @cached_property
    def _parted(self) -> dict[bytes, tuple[bytes, bytes]]:
        """Give the shared files that can be parted, each with its content before and after."""
        found = {}
        stop_at_conflicts(self.moved_on(self._shared))
        for path, owners in self._shared.items():
            sides = self._content(path, BEFORE), self._content(path, AFTER)
            effects = [self.effects[number] for number in owners]
            if _lines(part(path, *sides, effects, effects)) == _lines(sides[1]):
                found[path] = sides
        return found

    def parted(self, path: bytes, chosen: Collection[int]) -> bytes:
        """Give a shared file's content with only the effects of the chosen atoms in it."""
        there = {number for atom in chosen for number in self.atoms[atom].effects}
        owners = self._shared[path]
        before, after = self._parted[path]
        content = part(
            path,
            before,
            after,
            [self.effects[number] for number in owners],
            [self.effects[number] for number in owners if number in there],
        )
        if content is None:
            raise RuntimeError(f"{path!r} was parted and cannot be")
        return content

    def _content(self, path: bytes, side: str) -> bytes:
        """Read a file's content on one side; empty where there is none."""
        if side == self.live:
            return content(path) or b""
        staged = self.bits(path).staged
        return (None if staged is None else content(staged)) or b""

    def state(self, path: bytes, side: str) -> State | None:
        """Give a path's state on a side; of a parted file, that of the side on which it is one."""
        effect = self.raw[path]
        if side == PARTED:
            return effect.after or effect.before
        return effect.before if side == BEFORE else effect.after

    @cached_property
    def composing(self) -> Composing:
        """Tells what paths are like with some atoms there."""
        return Composing(self.atoms, self.raw)

    def bits(self, path: bytes) -> Bits:
        """Tell where the other side of a path lies, as `_bits_of` does; looked up once."""
        found = self._bits.get(path)
        if found is None:
            found = self._bits[path] = self._bits_of(path)
        return found

    def _bits_of(self, path: bytes) -> Bits:
        """Tell where the other side of a path lies. NOWHERE when the plan does not bring it."""
        step = self._steps.get(path)
        if step is None and path in self._appended:
            return Bits(None, self._appended[path])
        below = b""
        while step is None and path:
            path, _, name = path.rpartition(b"/")
            below = b"/" + name + below
            step = self._steps.get(path)
            step = step if isinstance(step, Switch) else None
            if path in self._steps and step is None:
                break
        if isinstance(step, Switch) and step.want is None:
            return Bits(step, None)
        source = self._steps.get(self._sources.get(path + below, b""))
        if isinstance(source, Write):  # the name of a file that is written in place: it may lie there as it was
            return Bits(step, source.after_copy)
        if isinstance(step, Switch):
            return Bits(step, step.staged + below)
        return Bits(step, step.after_copy if isinstance(step, Write) else None)

    def names_of(self, status: os.stat_result) -> int:
        """Count the names that an inode of the stage has among the change's own bits."""
        return self._names.get((status.st_dev, status.st_ino), 0)

    @cached_property
    def _names(self) -> dict[tuple[int, int], int]:
        names: dict[tuple[int, int], int] = {}
        parents = Parents()
        try:
            for path in sorted(self.raw):
                staged = self.bits(path).staged
                status = None if staged is None else _status(parents, staged)
                if status is not None:
                    names[status.st_dev, status.st_ino] = names.get((status.st_dev, status.st_ino), 0) + 1
        finally:
            parents.close()
        return names

    def moved_on(self, paths: Iterable[bytes]) -> list[Conflict]:
        """Name the paths at which the host moved on, of all that is switched together with these."""
        steps = {step.path: step for path in paths for step in [self.bits(path).step] if step}
        found = {path: what for path, what in self._moved.items() if path in steps}
        parents = Parents()
        try:
            doubtful = [step for path, step in steps.items() if path not in found and not self._is_old(step, parents)]
        finally:
            parents.close()
        found.update(self._executor.verify(doubtful))
        return [Conflict(path, what) for path, what in sorted(found.items())]

    def _is_old(self, step: FileStep, parents: Parents) -> bool:
        """Tell at one look what needs no other: the very inode, unchanged since."""
        if not isinstance(step, Switch) or step.expect is None or step.expect.type == "dir":
            return False
        status = _status(parents, step.path)
        return (
            status is not None and status.st_ino == step.expect_inode and status.st_ctime_ns < self._executor.barrier_ns
        )

    def requests(self, chosen: Collection[int]) -> tuple[ServiceRequest, ...]:
        """Give what services are to be asked so that they are as with the chosen atoms alone."""
        told = {
            self.effects[number].subject
            for atom in chosen
            for number in self.atoms[atom].effects
            if self.effects[number].kind == "service"
        }
        steps = [step for step in self.applied.steps if isinstance(step, Service)]
        return tuple(
            ServiceRequest(action, step.unit)
            for step in steps
            for action in (again(step, there=step.unit in told) if self.standing else step.requests)
            if self.standing or step.unit in told or (told and not step.unit)
        )


def again(step: Service, *, there: bool) -> tuple[str, ...]:
    """Choose what a service of a change that stands is asked: to use other files, or to be as it was before."""
    active, last = step.expect.get("active"), step.requests[-1:]
    if step.unit and not there and active is False and last != ("stop",):
        return ("stop",)
    if step.unit and not there and active and last == ("stop",):
        return ("start",)
    return tuple(action for action in step.requests if not step.unit or action in _USING_OTHER_FILES)


_USING_OTHER_FILES = frozenset(LIVE_ACTIONS) - {"start", "stop", "kill"} | {"run"}


def _status(parents: Parents, path: bytes) -> os.stat_result | None:
    try:
        return parents.name(path).lstat()
    except OSError as error:
        if error.errno not in GONE:
            raise
        return None


def _is_file(effect: RawEffect) -> bool:
    return all(side is None or side.type == "file" for side in (effect.before, effect.after))


def _lines(content: bytes | None) -> list[bytes] | None:
    """Give what is compared of a shared file: dpkg writes some in no order of its own."""
    return None if content is None else sorted(content.split(b"\n"))


def require_bits(change: Change) -> None:
    """Refuse a change of which nothing is kept that a view could be composed from."""
    if change.body.get("adopted"):
        raise UsageError(f"Change {change.id} is drift that was adopted: backout has no bits of it.")
    if change.expired:
        raise UsageError(
            f"Nothing is kept of change {change.id} any more: gc let its bits go.",
            next="backout log shows what can still be taken back.",
        )
    if change.state not in (KEPT, REFUSED, UNDONE):
        raise RefusedError(f"Change {change.id} is half-way.", next="backout recover")


def _barrier_ns(ledger: Ledger, change: Change, document: Mapping[str, object]) -> int:
    """Tell the moment before which a changed ctime is of the change itself, or older; 0 when nobody knows one."""
    if change.state == REFUSED:
        return int(datetime.fromisoformat(str(document["base"])).timestamp() * 1000) * 1_000_000
    if change.undone_by is not None:
        return next(int(c.body.get("barrier_ns", 0)) for c in fold(ledger.entries()) if c.id == change.undone_by)
    return int(change.body.get("barrier_ns", 0)) if change.state == KEPT else 0
