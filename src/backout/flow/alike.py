"""Rehearsals of several hosts, judged together: which are alike, which one is odd, and who may go."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from backout.errors import BackoutError
from backout.flow.rehearse import Measured, refusal
from backout.model.rollout import Group, groups, norm, together
from backout.model.verdict import ALLOW, ASK, REFUSE, Reason, Verdict

_WORST = (REFUSE, ASK, ALLOW)


class Judged(NamedTuple):
    """What was rehearsed on several hosts.

    `failed` says why a host is left out; `found` are the groups of the others, the one that is meant first, whose
    digest is `digest` (None: nobody can tell which is meant).
    """

    measured: dict[str, Measured]
    failed: dict[str, BackoutError]
    found: tuple[Group, ...]
    digest: str | None

    @property
    def idle(self) -> frozenset[str]:
        """Name the hosts on which an apply would do nothing."""
        return frozenset(host for host in self._in_groups if self._may(host) and self.measured[host].idle)

    def goes(self, host: str) -> bool:
        """Tell whether the change may be applied on a host, and there is something to apply."""
        return host in self._in_groups and self._may(host) and not self.measured[host].idle

    @property
    def _in_groups(self) -> list[str]:
        return [host for group in self.found for host in group.hosts]

    def _may(self, host: str) -> bool:
        return self.measured[host].verdict.decision != REFUSE

    def groups(self) -> list[dict[str, Any]]:
        """Give the groups of the document, the one that is meant first."""
        return [_group(group, {host: self.measured[host] for host in group.hosts}) for group in self.found]

    def miss(self, results: Mapping[str, object]) -> None:
        """Take note of the hosts on which something went wrong since."""
        self.failed.update({host: error for host, error in results.items() if isinstance(error, BackoutError)})

    def decided(self, hosts: Collection[str], verdict: Verdict) -> Judged:
        """Give the same with another verdict for these hosts."""
        for host in hosts:
            self.measured[host] = _judged(self.measured[host], verdict)
        return self


def judged(
    results: Mapping[str, Measured | BackoutError],
    unreached: Mapping[str, BackoutError],
    accepted: str | None,
    odd: Collection[str],
) -> Judged:
    """Judge what the hosts gave: one outside the group that is meant is refused, unless it is named.

    A host on which the command failed, or that is refused where others of its group are not, is left out.
    """
    measured = {host: result for host, result in results.items() if isinstance(result, Measured)}
    failed = {**unreached, **{host: error for host, error in results.items() if isinstance(error, BackoutError)}}
    failed |= {host: _failure(m) for host, m in measured.items() if m.failed is not None}
    found = groups({host: m.document["digest"] for host, m in measured.items() if host not in failed})
    meant = norm(found, accepted)
    if meant is not None or accepted is None:
        for host in (host for group in found if group != meant for host in group.hosts if host not in odd):
            measured[host] = _judged(measured[host], _odd(host, meant, measured[host].verdict))
    alone = _refused_alone(found, measured)
    failed |= {host: refusal(measured[host]) for host in alone}
    ordered = sorted(found, key=lambda group: group != meant)
    left = tuple(group._replace(hosts=tuple(h for h in group.hosts if h not in alone)) for group in ordered)
    return Judged(measured, failed, left, meant and meant.digest)


def _failure(measured: Measured) -> BackoutError:
    """Say why a host is left out on which the command failed, in its last words: nobody sees what it wrote there."""
    error = refusal(measured)
    error.what += f" Its last words: {measured.said}" if measured.said else ""
    return error


def _odd(host: str, meant: Group | None, verdict: Verdict) -> Verdict:
    """Refuse a host for being odd, first of all; what else spoke against it stays."""
    already = verdict.reasons if verdict.decision == REFUSE else ()
    return Verdict(REFUSE, (_difference(host, meant), *already))


def _difference(host: str, meant: Group | None) -> Reason:
    if meant is None:
        return Reason(
            "The hosts differ, and no group is larger than all others: nobody can tell which is meant.",
            next="Name the hosts that may differ with --odd HOST, or give --accept and the digest that is meant.",
        )
    others = "the host that is meant" if len(meant.hosts) == 1 else f"the {len(meant.hosts)} that are alike"
    return Reason(f"{host} differs from {others}.", next=f"Mend it; to apply it there all the same: --odd {host}")


def _refused_alone(found: tuple[Group, ...], measured: Mapping[str, Measured]) -> set[str]:
    alone: set[str] = set()
    for group in found:
        refused = {host for host in group.hosts if measured[host].verdict.decision == REFUSE}
        if len(refused) < len(group.hosts):
            alone |= refused
    return alone


def _judged(measured: Measured, verdict: Verdict) -> Measured:
    measured.document["verdict"] = verdict.document()
    return measured._replace(verdict=verdict)


def _group(group: Group, measured: Mapping[str, Measured]) -> dict[str, Any]:
    """Give a group of the document: effects and noise of its first host, limits and checks of all."""
    documents = {host: m.document for host, m in measured.items()}
    first = documents[group.hosts[0]]
    decision = min((m.verdict.decision for m in measured.values()), key=_WORST.index)
    reasons = dict.fromkeys(reason for m in measured.values() for reason in m.verdict.reasons)
    return {
        "digest": group.digest,
        "hosts": list(group.hosts),
        **{name: first[name] for name in ("exit_code", "cwd", "duration_s", "effects", "noise")},
        **{name: first[name] for name in ("compared", "guards") if name in first},
        "limits": list(dict.fromkeys(limit for document in documents.values() for limit in document["limits"])),
        "checks": together({host: document["checks"] for host, document in documents.items()}),
        "verdict": Verdict(decision, tuple(reasons)).document(),
    }
