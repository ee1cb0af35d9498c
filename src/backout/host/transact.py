"""Transactions: prepared -> applied -> kept | undone, all-old or all-new after any crash (law 5).

The order of what is made durable, and why, is argued in docs/design/durability.md.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Callable, NamedTuple

from backout.errors import BackoutError, ConflictError, FailedError, NeedsPersonError
from backout.host import libc
from backout.host.archive import Archive
from backout.host.busy import busy
from backout.host.claim import require_new
from backout.host.execute import Conflict, Executor, Manifest, set_times
from backout.host.files import lock_holder
from backout.host.inplace import alone, append_suffix, copy_durably
from backout.host.ledger import Ledger
from backout.host.plan import Plan, leave_alone, undo_plan
from backout.host.scan import is_whiteout
from backout.host.services import goes_first
from backout.host.tree import Name, Parents, below, open_file, open_path, strip_overlay_xattrs
from backout.host.trouble import AS_BEFORE, HALF_WAY, RECOVER, UNTOUCHED, cause, told
from backout.lens.noise import rule_for
from backout.model.effect import RawEffect
from backout.model.ledger import APPLIED, KEPT, PREPARED, UNDOING, UNDONE, Change, fold, unfinished
from backout.model.state import State
from backout.model.step import Service, Step, Switch, Write, undo

_NAMED = 5
_STANDS = "It stands, whole, as it was applied"
ServiceRunner = Callable[[Service], str]


class Order(NamedTuple):
    """One transaction to carry out.

    Its plan, its raw effects (what is there before and after), and since when the host must be unchanged.
    """

    change: str
    plan: Plan
    raw: Sequence[RawEffect]
    barrier_ns: int
    locks: tuple[bytes, ...] = ()


class Transactions:
    """Carries out, takes back and recovers changes on this host."""

    def __init__(self, ledger: Ledger, run_service: ServiceRunner) -> None:
        """Work on the ledger's host; `run_service` carries out one service step and gives what it said."""
        self._ledger = ledger
        self._run_service = run_service

    def changes(self) -> list[Change]:
        """Tell where every change stands, oldest first."""
        return fold(self._ledger.entries())

    def apply(self, order: Order, body: dict[str, Any], document: dict[str, Any] | None = None) -> int:
        """Switch everything, or nothing: ConflictError or the failure, with the host as it was.

        Service steps follow after the files; one that fails is a FailedError that leaves the change applied. Gives how
        many steps were left out, because the host had made anew itself what can be made again.
        """
        require_new(self._ledger, order.change)
        steps = len(order.plan.steps)
        executor = Executor(order.barrier_ns, manifest(order.raw), is_noise)
        held = _hold(order.locks)
        try:
            order = self._prepare(order, executor, body, document)
            self._switch(order, executor)
        finally:
            executor.close()
            for descriptor in held:
                os.close(descriptor)
        self._run_services(order.plan, first=False)
        return steps - len(order.plan.steps)

    def _prepare(
        self, order: Order, executor: Executor, body: dict[str, Any], document: dict[str, Any] | None
    ) -> Order:
        """Do all that comes before the first switch; gives the order with its settled plan."""
        with told("The change could not be applied", UNTOUCHED):
            order = _unless_renewed(order, executor.verify(order.plan.steps) + busy(order.plan.steps))
            try:
                order = order._replace(plan=settle(order.plan))
            except FileNotFoundError:  # it may have moved on since that look
                executor.close()
                stop_at_conflicts(executor.verify(order.plan.steps))
                raise
            _barrier(order.plan.folders)
            plan_hash = Archive(self._ledger.state, order.change).keep(order.plan, order.raw, document)
        try:
            self._ledger.append(order.change, PREPARED, {**body, "plan": plan_hash})
        except FailedError as error:
            error.state = UNTOUCHED
            raise
        return order

    def _switch(self, order: Order, executor: Executor) -> None:
        try:
            if self._run_services(order.plan, first=True):  # a service that stops may write its files once more
                stop_at_conflicts(executor.verify(order.plan.steps))
            for step in order.plan.steps:
                executor.perform(step)
            set_times((times.path, times.after_ns) for times in order.plan.times)
            _barrier(order.plan.folders)
            self._ledger.append(order.change, APPLIED, {"barrier_ns": probe(self._ledger.state)})
        except (OSError, BackoutError) as error:
            self._take_back(order.change, order.plan, executor, executor.begun)
            if isinstance(error, BackoutError):
                error.state = AS_BEFORE
                raise
            raise FailedError(f"The change could not be applied: {cause(error)}.", AS_BEFORE) from error
        _append_logs(order.plan)

    def _run_services(self, plan: Plan, *, first: bool) -> int:
        """Carry out the service steps that belong before the switch, or those after it; gives how many."""
        steps = [step for step in plan.steps if isinstance(step, Service) and goes_first(step) == first]
        for step in steps:
            self._run_service(step)
        return len(steps)

    def _restore_services(self, reverse: Plan, *, first: bool) -> list[str]:
        """Bring services back as far as they will come; gives what the manager said of those that would not."""
        failures = []
        for step in reverse.steps:
            if isinstance(step, Service) and goes_first(step) == first:
                try:
                    self._run_service(step)
                except BackoutError as error:
                    failures.append(error.what)
        return failures

    def _take_back(self, change: str, plan: Plan, executor: Executor, begun: Sequence[Step]) -> None:
        """Revert what was done of a plan, told by the observed inodes; then its services; then say so in the ledger.

        `begun` are the steps that may have been done. Nothing is done to services that no step can have touched yet:
        those that follow an apply are not begun before it.
        """
        with told(f"Change {change} could not be brought back whole", HALF_WAY, RECOVER):
            conflicts = revert_all(begun, executor)
            set_times((times.path, times.before_ns) for times in plan.times)
            _barrier(plan.folders)
        stopped = [undo(step) for step in plan.steps if isinstance(step, Service) and goes_first(step)]
        failures = [*self._restore_services(Plan(steps=tuple(stopped)), first=False)]
        if conflicts:
            raise unresolved(change, conflicts)
        self._ledger.append(change, UNDONE, found_body(executor))
        _stop_at_failures(failures)

    def keep(self, change: str, body: dict[str, Any]) -> None:
        """Say that an applied change stays."""
        self._ledger.append(change, KEPT, body)

    def back_out(self, change: Change, body: dict[str, Any] | None = None) -> None:
        """Take back a change that is applied and not kept, files and services; the body is recorded with the intent.

        Where a path was edited since, nothing is taken back: the change is kept, whole as it is, and a person decides
        about the edit (NeedsPersonError).
        """
        with told(f"Change {change.id} could not be backed out", HALF_WAY, RECOVER):
            archive = Archive(self._ledger.state, change.id)
            reverse = undo_plan(archive.plan(change.body.get("plan")))
            executor = Executor(change.body.get("barrier_ns", 0), manifest(archive.raw(), after=True), is_noise)
            try:
                reverse, conflicts = without_moved_noise(reverse, executor)
                stop_at_conflicts(conflicts + busy(reverse.steps))
                self._ledger.append(change.id, UNDOING, body or {})
                failures = self._reverse(change, reverse, executor)
            except ConflictError as error:
                self.keep(change.id, {"stuck": error.what})
                raise stuck(change.id, error) from error
            finally:
                executor.close()
        _stop_at_failures(failures)

    def _reverse(self, change: Change, reverse: Plan, executor: Executor) -> list[str]:
        """Switch everything back, or leave all of the change applied; gives the services that would not come."""
        failures = self._restore_services(reverse, first=True)
        try:
            for step in reverse.steps:
                executor.perform(step)
            set_times((times.path, times.after_ns) for times in reverse.times)
            _barrier(reverse.folders)
        except (OSError, ConflictError) as error:
            self._stand_again(change, reverse, executor)
            if isinstance(error, ConflictError):
                raise
            raise NeedsPersonError(
                f"Change {change.id} could not be backed out: {cause(error)}.", f"{_STANDS}.", RECOVER
            ) from error
        failures += self._restore_services(reverse, first=False)
        self._ledger.append(change.id, UNDONE, {})
        return failures

    def _stand_again(self, change: Change, reverse: Plan, executor: Executor) -> None:
        """Bring back all of a change that was begun to be backed out, its services too."""
        conflicts = revert_all(executor.begun, executor)
        set_times((times.path, times.before_ns) for times in reverse.times)
        _barrier(reverse.folders)
        if conflicts:
            raise unresolved(change.id, conflicts, "All other paths are as the change left them")
        self._ledger.append(change.id, APPLIED, {"barrier_ns": probe(self._ledger.state), **found_body(executor)})
        self._services_follow(change)

    def recover(self, check: Callable[[Change], bool]) -> Iterator[tuple[Change, str]]:
        """Bring every unfinished change to all-old or all-new; give each with what became of it.

        `check(change)` runs the live checks of a change that was applied: True keeps it, False undoes it. Its service
        requests are carried out once more before, since nobody knows how far they came.
        """
        for change in reversed(unfinished(self.changes())):
            with told(f"Change {change.id} could not be recovered", HALF_WAY, RECOVER):
                became = self._recover(change, check)
            yield change, became

    def _recover(self, change: Change, check: Callable[[Change], bool]) -> str:
        if change.state != APPLIED:
            self._revert_unfinished(change)
        elif self._services_follow(change) and check(change):
            self.keep(change.id, {"recovered": True})
            return KEPT
        else:
            self.back_out(change)
        return UNDONE

    def _services_follow(self, change: Change) -> bool:
        try:
            self._run_services(Archive(self._ledger.state, change.id).plan(change.body.get("plan")), first=False)
        except BackoutError:
            return False
        return True

    def _revert_unfinished(self, change: Change) -> None:
        plan = Archive(self._ledger.state, change.id).plan(change.body.get("plan"))
        reverse = undo_plan(plan)
        undoing = change.state == UNDOING
        executor = Executor(0, {})
        try:
            failures = self._restore_services(reverse, first=True) if undoing else []
            self._take_back(change.id, plan, executor, plan.steps)
            failures += self._restore_services(reverse, first=False) if undoing else []
        finally:
            executor.close()
        _stop_at_failures(failures)


def _stop_at_failures(failures: Sequence[str]) -> None:
    """Ask for a person when files are back but a service is not."""
    if failures:
        raise NeedsPersonError(
            "; ".join(failures),
            state="All files are as before the change; these services are not.",
            next="Look at the service, then start it by hand.",
        )


def manifest(raw: Iterable[RawEffect], *, after: bool = False) -> Manifest:
    """Give the states that paths should have: before a change, or after it."""
    return {effect.path: effect.after if after else effect.before for effect in raw}


def is_noise(path: bytes, before: State | None = None, after: State | None = None) -> bool:
    """Tell whether a path is noise: with no states given, for a file of that name."""
    usual = State("file", 0o644, 0, 0)
    rule = rule_for(path, before or usual, after or usual._replace(size=1, sha256=""))
    return rule is not None and rule.same is None


def stop_at_conflicts(conflicts: Sequence[Conflict], diffs: Sequence[str] = ()) -> None:
    """Raise a ConflictError that names them, with their diffs, if there are any."""
    if conflicts:
        named = "; ".join(f"{os.fsdecode(c.path)}: {c.what}" for c in conflicts[:_NAMED])
        more = f" and {len(conflicts) - _NAMED} more" if len(conflicts) > _NAMED else ""
        error = ConflictError(
            f"The host moved on: {named}{more}.",
            state="Nothing was changed.",
            next="Look at what changed there, then rehearse again.",
        )
        error.conflicts = tuple(
            {"path": os.fsdecode(c.path), "what": c.what, "diff": diff}
            for c, diff in zip(conflicts, [*diffs, *[""] * len(conflicts)])
        )
        raise error


def revert_all(begun: Sequence[Step], executor: Executor) -> list[Conflict]:
    """Bring back every path of these steps, the last one first; gives those that would not."""
    reverted = [executor.revert(step) for step in reversed(begun)]
    return [conflict for conflict in reverted if conflict is not None]


def found_body(executor: Executor) -> dict[str, Any]:
    """Say for the record where lies what was found at paths that are written in place, and was nobody's known."""
    return {"found": [os.fsdecode(path) for path in executor.saved]} if executor.saved else {}


def stuck(change: str, conflict: ConflictError) -> NeedsPersonError:
    """Say that a change could not be backed out because somebody edited what it left."""
    return NeedsPersonError(
        f"Change {change} could not be backed out. {conflict.what}",
        state=f"{_STANDS}; nothing of it was taken back, and the edits are as they are.",
        next=f"backout back {change} --keep-edits, or --discard-edits",
    )


def unresolved(
    change: str, conflicts: Sequence[Conflict], others: str = "All other paths are as before the change"
) -> NeedsPersonError:
    """Say that a path stands in the way of a recovery; everything else was brought back."""
    named = "; ".join(f"{os.fsdecode(c.path)}: {c.what}" for c in conflicts)
    return NeedsPersonError(
        f"Change {change} cannot be brought back whole: {named}.",
        state=f"{others}; nothing was lost, the pre-images are in the stage.",
        next="Move what stands in the way aside, then: backout recover",
    )


def without_moved_noise(reverse: Plan, executor: Executor) -> tuple[Plan, list[Conflict]]:
    """Verify a plan; leave out the steps on noise paths that moved on: they keep their live version (design, "back").

    What else moved on are the conflicts.
    """
    conflicts = executor.verify(reverse.steps)
    noise = {conflict.path for conflict in conflicts if is_noise(conflict.path)}
    left = tuple(step for step in reverse.steps if isinstance(step, Service) or step.path not in noise)
    return reverse._replace(steps=left), [conflict for conflict in conflicts if conflict.path not in noise]


def _unless_renewed(order: Order, conflicts: Sequence[Conflict]) -> Order:
    """Leave out what the host made anew itself and may; all other conflicts are raised."""
    raw = {effect.path: effect for effect in order.raw}
    plan, left = leave_alone(order.plan, raw, {conflict.path for conflict in conflicts})
    stop_at_conflicts([conflict for conflict in conflicts if conflict.path not in left])
    return order._replace(plan=plan)


def settle(plan: Plan) -> Plan:
    """Make the staged side ready: no overlay attributes or whiteouts in it, copies of what is written in place.

    Gives the plan with the inodes that lie in the stage then: by these, recovery sees which side is live.
    """
    parents, live = Parents(), Parents()
    relinked: dict[bytes, int] = {}
    try:
        for folder in plan.folders:
            os.close(open_path(folder + b"/displaced", make=True))
        for relink in plan.relinks:
            relinked[relink.staged] = _relink(parents.name(relink.staged), live.name(relink.source))
        for step in plan.steps:
            if isinstance(step, Write):
                with alone(live.name(step.path)) as descriptor:
                    copy_durably(descriptor, parents.name(step.before_copy))
            if isinstance(step, Switch) and step.want is not None and step.staged not in relinked:
                _clean(parents.name(step.staged), step)
    finally:
        parents.close()
        live.close()
    return plan._replace(steps=tuple(_settled(step, relinked) for step in plan.steps))


def _settled(step: Step, relinked: dict[bytes, int]) -> Step:
    if isinstance(step, Switch) and step.staged in relinked:
        return step._replace(want_inode=relinked[step.staged])
    return step


def _relink(staged: Name, source: Name) -> int:
    with contextlib.suppress(FileNotFoundError):  # as an attempt left it that failed here
        os.unlink(staged.name, dir_fd=staged.directory)
    os.link(
        source.name,
        staged.name,
        src_dir_fd=source.directory,
        dst_dir_fd=staged.directory,
        follow_symlinks=False,
    )
    return os.stat(staged.name, dir_fd=staged.directory, follow_symlinks=False).st_ino


def _clean(staged: Name, step: Switch) -> None:
    strip_overlay_xattrs(staged)
    if step.want is not None and step.want.type == "dir":
        for _, name in below(step.staged):
            status = name.lstat()
            if status is not None and is_whiteout(name, status):
                os.unlink(name.name, dir_fd=name.directory)
            else:
                strip_overlay_xattrs(name)


def _append_logs(plan: Plan) -> None:
    parents, stage = Parents(), Parents()
    try:
        for append in plan.appends:
            with contextlib.suppress(OSError):  # rotated away meanwhile, or no room: logs are noise, not the promise
                append_suffix(parents.name(append.path), stage.name(append.source), append.before)
    finally:
        parents.close()
        stage.close()


def _hold(locks: Sequence[bytes]) -> list[int]:
    """Take the package managers' locks for the time of the switch; ConflictError names who holds one."""
    held: list[int] = []
    parents = Parents()
    for path in locks:
        try:
            held.append(open_file(parents.name(path), os.O_RDWR))
        except OSError:
            continue
        _lock(held[-1], path, held)
    parents.close()
    return held


def _lock(descriptor: int, path: bytes, held: list[int]) -> None:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = lock_holder(descriptor)
        for other in held:
            os.close(other)
        raise ConflictError(
            f"{os.fsdecode(path)} is locked by process {holder}.", next="Wait for it to end, then try again."
        ) from None


def _barrier(folders: Sequence[bytes]) -> None:
    """Make all that was written to the stages' file systems durable."""
    done = set()
    for folder in folders:
        try:
            descriptor = open_path(folder)
        except FileNotFoundError:
            continue  # a stage on a tmpfs ends with the boot, and so does what it would be exchanged with
        try:
            device = os.fstat(descriptor).st_dev
            if device not in done:
                libc.syncfs(descriptor, folder)
                done.add(device)
        finally:
            os.close(descriptor)


def probe(folder: bytes) -> int:
    """Tell the kernel's time, in nanoseconds, as it stamps files: the ctime of a file made just now."""
    path = folder + b"/.probe-%d" % os.getpid()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        return os.fstat(descriptor).st_ctime_ns
    finally:
        os.close(descriptor)
        os.unlink(path)
