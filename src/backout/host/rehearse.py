"""A rehearsal on this host: run the command in a view, read what it did, run the checks on it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Callable, NamedTuple

from backout.errors import FailedError
from backout.host import foreign, indexes, logs, services, shims
from backout.host import network as networks
from backout.host.archive import drop_stages
from backout.host.busy import busy
from backout.host.egress import limits_from, parse_destination, proxy_environment, upstream_of
from backout.host.folders import remove_tree
from backout.host.layerview import LayerView
from backout.host.mounts import is_within
from backout.host.plan import Plan, leave_alone, plan
from backout.host.proxy import Proxy
from backout.host.sandbox import Sandbox
from backout.host.scan import Scan, orphaned_edits, scan
from backout.host.stage import Layer
from backout.lens.meaning import Meaning, explain
from backout.lens.noise import PROMOTE, YIELD
from backout.model import shape
from backout.model.check import REHEARSAL, RESULT, UNHEALTHY, Check, CheckResult
from backout.model.digest import digest
from backout.model.effect import Effect, Noise
from backout.model.redact import redact
from backout.model.service import ServiceRequest
from backout.model.step import Service

_KEPT_OUTPUT_BYTES = 1 << 20
Output = Callable[[str, bytes], None]


class Request(NamedTuple):
    """What to rehearse, where and how. `environ` and `argv` are text with surrogate escapes; times are seconds."""

    change: str
    argv: list[str]
    cwd: str
    environ: dict[str, str]
    network: str = "packages"
    network_allow: tuple[str, ...] = ()
    timeout_s: float | None = None
    checks: tuple[Check, ...] = ()
    stdin: int | None = None
    terminal: bool = False


class Rehearsed(NamedTuple):
    """What came of it: the document (without verdict and effects), the effects, and what an apply needs.

    `moved` are conflicts already; `obstacles` say in sentences what could not be applied. `let_go` removes all traces.
    """

    document: dict[str, Any]
    effects: tuple[Effect, ...]
    scanned: Scan
    plan: Plan
    locks: tuple[bytes, ...]
    moved: dict[bytes, str]
    obstacles: list[str]
    base_ns: int
    let_go: Callable[[], None]
    output: bytes


def rehearse(request: Request, state: bytes, output: Output, say: Callable[[str], None]) -> Rehearsed:
    """Measure what a command would do.

    The host is as before, but for the stage folders, which the caller lets go or keeps.
    """
    stand_ins = state + b"/shims-" + request.change.encode()
    try:
        return _rehearse(request, state, shims.build(stand_ins), output, say)
    finally:
        shutil.rmtree(stand_ins, ignore_errors=True)


class Done(NamedTuple):
    """What a command came to: its exit code, what it said, what was not as on the host meanwhile, when and how long."""

    exit_code: int
    said: bytes
    limits: tuple[str, ...]
    started: float
    duration_s: float


class Looked(NamedTuple):
    """What was seen in frozen layers: what was done there, what it means, and what the checks said."""

    scanned: Scan
    lost: list[bytes]
    view: LayerView
    meaning: Meaning
    services: list[Service]
    results: list[CheckResult]


def _rehearse(
    request: Request, state: bytes, shim: shims.Shims, output: Output, say: Callable[[str], None]
) -> Rehearsed:
    started, said = time.time(), bytearray()

    def heard(stream: str, data: bytes) -> None:
        _keep(said, data)
        output(stream, data)

    near = (os.fsencode(request.cwd), os.fsencode(request.environ.get("HOME", "/")))
    sandbox = Sandbox(request.change, state, network=request.network, shims=shim, near=near)
    with sandbox:
        say("running the command in a view of this host")
        begun = time.monotonic()
        exit_code, traffic_limits = _run(sandbox, request, heard)
        duration_s = time.monotonic() - begun
        sandbox.freeze()
        say("reading what it did")
        requests = shims.read_requests(shim.requests)
        shims.remove_traces(sandbox.layers, shim)
        looked = look(sandbox, request, requests, say)
    return conclude(sandbox, request, Done(exit_code, bytes(said), traffic_limits, started, duration_s), looked)


def look(
    sandbox: Sandbox,
    request: Request,
    requests: tuple[ServiceRequest, ...],
    say: Callable[[str], None],
    in_place: Collection[bytes] = (),
) -> Looked:
    """Read frozen layers, and run the checks on them. `in_place` are files that keep their inode, whatever is seen."""
    scanned = scan(sandbox.layers, sandbox.t0_ns)
    for path in scanned.found.keys() & set(in_place):
        scanned.found[path] = scanned.found[path]._replace(copied=True)
    logs.part(scanned)
    lost = orphaned_edits(sandbox.layers, scanned)
    view = LayerView(scanned, requests, services.states(_units(requests)))
    meaning = explain(scanned.raw, view)
    say("checking")
    return Looked(scanned, lost, view, meaning, _service_steps(requests, view), _checks(sandbox, request))


def conclude(sandbox: Sandbox, request: Request, done: Done, looked: Looked) -> Rehearsed:
    """Plan what was seen in layers whose sandbox has ended, and say what stands in the way of an apply."""
    scanned, lost, view, meaning, service_steps, results = looked
    chosen = plan(
        scanned.raw, scanned.found, {n.path: n.promotion for n in meaning.noise}, sandbox.layers, service_steps
    )
    held = busy(chosen.steps)
    chosen, left = leave_alone(chosen, scanned.raw, {*scanned.moved, *(conflict.path for conflict in held)})
    document = _document(request, meaning, results, done.exit_code)
    limits = [*sandbox.limits, *done.limits, *_explained(done.exit_code, done.said), *_left(left)]
    document["limits"] = list(dict.fromkeys(limits))
    document["started_at"] = _instant(done.started)
    document["duration_s"] = round(done.duration_s, 3)
    document["base"] = _instant(min(sandbox.t0_ns.values()) / 1e9)
    moved = {path: what for path, what in scanned.moved.items() if _matters(path, meaning.noise, left)}
    obstacles = [f"{os.fsdecode(c.path)}: {c.what}; it cannot be switched." for c in held if c.path not in left]
    obstacles += [
        f"{os.fsdecode(path)} has other names, and was changed through one that is then gone." for path in lost
    ]
    obstacles += _marked(meaning, view, b"127.0.0.1:%d" % sandbox.proxy_port) if sandbox.proxy_port else []
    obstacles += foreign.obstacles(scanned, sandbox.layers, done.exit_code, done.said)
    _drop_unused(sandbox.layers, chosen.folders, sandbox.primary)
    return Rehearsed(
        document,
        meaning.effects,
        scanned,
        chosen,
        locks=_locks(meaning.noise),
        moved=moved,
        obstacles=obstacles,
        base_ns=min(sandbox.t0_ns.values()),
        let_go=lambda: sandbox.close(keep=False),
        output=redact(done.said.decode(errors="surrogateescape")).encode(errors="surrogateescape"),
    )


def _drop_unused(layers: Sequence[Layer], used: Collection[bytes], primary: bytes) -> None:
    """Remove layers of which nothing is applied.

    The change's folder below the state folder stays, be it empty: while it is there, all that lies elsewhere is ours.
    """
    drop_stages(layer.folder for layer in layers if layer.folder not in used and not is_within(layer.folder, primary))
    if primary not in used:
        for name in os.listdir(primary):
            if not any(is_within(folder, os.path.join(primary, name)) for folder in used):
                remove_tree(os.path.join(primary, name))


def _marked(meaning: Meaning, view: LayerView, address: bytes) -> list[str]:
    """Find files that hold the address of the rehearsal's own proxy: on the host it leads nowhere."""
    files = {e.paths[0] for e in meaning.effects if e.kind in ("file", "config") and e.after is not None and e.paths}
    marked = [path for path in sorted(files) if address in (view.after(path) or b"")]
    return [f"{os.fsdecode(path)} holds the address of the rehearsal's own proxy, from http_proxy." for path in marked]


def _explained(exit_code: int, said: bytes) -> list[str]:
    """Say what a view is like where a command seems to have failed for that (traps A2, A7)."""
    if exit_code and b"cross-device link" in said:
        return ["Renaming a directory of the host can answer EXDEV in a rehearsal; a program that then copies works."]
    if exit_code and (b"onnection refused" in said or b"ECONNREFUSED" in said):
        return ["What runs on the host is not reached from a rehearsal: a server of this machine refuses connections."]
    return []


def _keep(said: bytearray, data: bytes) -> None:
    """Keep what the command says; of very much, the end."""
    said += data
    del said[: max(0, len(said) - _KEPT_OUTPUT_BYTES)]


def _run(sandbox: Sandbox, request: Request, output: Output) -> tuple[int, tuple[str, ...]]:
    environ = {os.fsencode(k): os.fsencode(v) for k, v in request.environ.items()}
    argv, cwd = [os.fsencode(word) for word in request.argv], os.fsencode(request.cwd)
    if sandbox.proxy_socket is None:
        limits = (networks.NO_NETWORK_LIMIT,) if request.network == networks.NONE else ()
        return sandbox.run(argv, cwd, environ, output, request.stdin, request.timeout_s, request.terminal), limits
    port = sandbox.proxy_port
    environ.update({k.encode(): v.encode() for k, v in proxy_environment(port).items()})
    proxy = Proxy(sandbox.proxy_socket, _destinations(request), upstream_of(request.environ))
    proxy.start()
    try:
        exit_code = sandbox.run(argv, cwd, environ, output, request.stdin, request.timeout_s, request.terminal)
    finally:
        proxy.stop()
    return exit_code, limits_from(proxy.traffic())


def _destinations(request: Request) -> set[tuple[str, int]]:
    allowed = [parse_destination(text, "network_allow") for text in request.network_allow]
    known = indexes.package_destinations(request.environ, request.cwd, _text_of, _names_in)
    return {(destination.host, destination.port) for destination in (*allowed, *known)}


def _text_of(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def _names_in(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def _checks(sandbox: Sandbox, request: Request) -> list[CheckResult]:
    """Run the checks on the frozen view.

    Those that fail are run once more without the change, as a control (traps B6).
    """
    if not request.checks:
        return []
    from backout.host.checks import judge_control

    with_change = checked(sandbox, request.checks, request.environ, with_change=True)
    suspects = [
        check for check in request.checks if any(r.name == check.name and r.result == UNHEALTHY for r in with_change)
    ]
    if not suspects:
        return with_change
    return judge_control(with_change, checked(sandbox, suspects, request.environ, with_change=False))


def checked(
    sandbox: Sandbox, checks: Sequence[Check], environ: Mapping[str, str], *, with_change: bool = True
) -> list[CheckResult]:
    """Run checks in a second view of the frozen layers, or of the host as it is."""
    from backout.host.checks import run_checks

    def inside() -> list[dict[str, Any]]:
        return [result._asdict() for result in run_checks(list(checks), REHEARSAL, environ)]

    rows = sandbox.call(inside, with_change=with_change)
    if not shape.many(RESULT)(rows):
        raise FailedError("The checks in the rehearsal ended without a result.")
    return [CheckResult(**row) for row in rows]


def _units(requests: Sequence[ServiceRequest]) -> list[str]:
    return sorted({request.unit for request in requests if request.unit})


def _service_steps(requests: tuple[ServiceRequest, ...], view: LayerView) -> list[Service]:
    """Make the steps that carry requests out.

    The stops that go before the switch, then the rest, units in their order.
    """
    steps = []
    for part in services.split_requests(requests):
        for unit in dict.fromkeys(request.unit for request in part):
            actions = tuple(request.action for request in part if request.unit == unit)
            known = view.service(unit)._asdict() if unit else {}
            steps.append(Service(unit, actions, known, {**known, **_outcome(actions)}))
    return steps


def _outcome(actions: tuple[str, ...]) -> dict[str, bool]:
    """Tell what the last action that starts or stops leaves: running or not; nothing where none does."""
    for action in reversed(actions):
        if action == "stop":
            return {"active": False}
        if action in ("start", "restart", "reload-or-restart"):
            return {"active": True}
    return {}


def _document(request: Request, meaning: Meaning, results: Sequence[CheckResult], exit_code: int) -> dict[str, Any]:
    return {
        "schema": "backout.effects/1",
        "change": request.change,
        "environment": None,
        "host": os.uname().nodename,
        "command": list(request.argv),
        "cwd": request.cwd,
        "exit_code": exit_code,
        "digest": digest(meaning.effects),
        "noise": [noise.document() for noise in meaning.noise],
        "checks": [result._asdict() for result in results],
    }


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")


def _matters(path: bytes, noise: Sequence[Noise], left: Collection[bytes]) -> bool:
    """Tell whether a moved path stands in the way: not when it is noise that keeps its live version."""
    return path not in left and all(n.path != path or n.promotion in {PROMOTE, YIELD} for n in noise)


def _left(left: Collection[bytes]) -> list[str]:
    """Say which noise the host renewed itself."""
    if not left:
        return []
    return [
        f"Noise that the host renewed meanwhile keeps its live version: {os.fsdecode(min(left))} ({len(left)} in all)."
    ]


def _locks(noise: Sequence[Noise]) -> tuple[bytes, ...]:
    return tuple(n.path for n in noise if n.rule == "locks" and n.op != "removed")
