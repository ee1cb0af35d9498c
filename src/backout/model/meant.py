"""What is meant to differ: each host's own, the rules of `differs`, and what was accepted for a while. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from backout.model.agreement import Row
from backout.model.digest import canonical
from backout.model.effect import Effect
from backout.model.parity import Difference
from backout.model.selector import Rule, Selector

_NAME = "each machine has its own name and identity"
_MACHINE = "follows from the machine's memory and processors"
_COUNTER = "a count that moves by itself"
_OWN = (
    (_NAME, "file", "/etc/hostname /etc/mailname /etc/machine-id /var/lib/dbus/machine-id /etc/adjtime"),
    (_NAME, "file", "/etc/ssh/ssh_host_*_key* /etc/iscsi/initiatorname.iscsi"),
    (_NAME, "sysctl", "kernel.hostname kernel.domainname kernel.random.*"),
    (
        _MACHINE,
        "sysctl",
        "fs.file-max fs.epoll.max_user_watches fs.inotify.max_user_* kernel.threads-max kernel.pid_max",
    ),
    (_MACHINE, "sysctl", "net.ipv4.tcp_mem net.ipv4.tcp_max_* net.ipv4.udp_mem net.netfilter.nf_conntrack_*"),
    (_MACHINE, "sysctl", "user.max_* vm.min_free_kbytes vm.user_reserve_kbytes vm.admin_reserve_kbytes"),
    (_COUNTER, "sysctl", "fs.*-nr fs.*-state fs.quota.* kernel.ns_last_pid kernel.pty.nr kernel.*_next_id"),
)
OWN = tuple(Rule(Selector(kind, glob), why) for why, kind, globs in _OWN for glob in globs.split())
"""What is each host's own where both have it: nobody means it to be the same."""
OWN_COUNTERS = tuple(rule for rule in OWN if rule.why == _COUNTER)
"""What is different at every look at the same host."""


def covers(rule: Rule, difference: Difference, effect: Effect) -> bool:
    """Tell whether a rule is about a difference.

    One for keys covers their file, too, when all that can be different in it is what is masked, and it covers that.
    """
    if rule.what.matches(effect):
        return True
    hidden = [Effect("config", subject, "edited", None, None) for subject in difference.hidden]
    return bool(hidden) and all(rule.what.matches(key) for key in hidden)


class Sorted(NamedTuple):
    """Rows sorted by why they differ: `left` is what nobody meant, `own` counts what is each host's own, by its reason.

    `counts` says of each rule, in their order, how many rows it is about: some may be of several rules. `folded` is the
    number of rows that any rule is about.
    """

    left: list[Row]
    own: dict[str, int]
    counts: list[int]
    folded: int


def sort(rows: Iterable[Row], rules: Sequence[Rule]) -> Sorted:
    """Fold away what a rule is about, and what is each host's own where both have it."""
    left: list[Row] = []
    own: dict[str, int] = {}
    counts, folded = [0] * len(rules), 0
    for row in rows:
        effect, on_both = row.effect, row.difference.here is not None and row.difference.there is not None
        about = [at for at, rule in enumerate(rules) if covers(rule, row.difference, effect)]
        why = next((rule.why for rule in OWN if on_both and rule.what.matches(effect)), None)
        for at in about:
            counts[at] += 1
        if about:
            folded += 1
        elif why is not None:
            own[why] = own.get(why, 0) + 1
        else:
            left.append(row)
    return Sorted(left, own, counts, folded)


class Accepted(NamedTuple):
    """A baseline's row: a difference, with what was compared on both sides, and the hosts of each that had it."""

    within: str | None
    kind: str
    subject: str
    here: Any
    there: Any
    ours: tuple[str, ...]
    theirs: tuple[str, ...]


def accepted(row: Row) -> Accepted:
    """Give what a baseline keeps of a row."""
    difference = row.difference
    return Accepted(
        row.within, difference.kind, difference.subject, difference.here, difference.there, row.usual, row.hosts
    )


def split(rows: Iterable[Row], baseline: Iterable[Accepted]) -> tuple[list[Row], int]:
    """Give what is new or changed since a baseline, and how many rows it folds."""
    known: dict[bytes, set[str]] = {}
    for held in baseline:
        known.setdefault(_name(held), set()).update(held.theirs)
    all_rows = list(rows)
    left = [row for row in all_rows if not set(row.hosts) <= known.get(_name(accepted(row)), set())]
    return left, len(all_rows) - len(left)


def _name(held: Accepted) -> bytes:
    return canonical(list(held[:-2]))
