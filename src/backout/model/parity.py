"""Parity: what is not the same in two fact sets, as a user means it. Pure, and holds no more than what differs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from backout.model.effect import Effect, operation
from backout.model.fact import Fact, Pair
from backout.model.redact import MASK

ORDER = (
    *("debian-package", "python", "python-package", "service", "variable", "timer", "cron", "port", "config"),
    *("user", "group", "os", "kernel", "timezone", "locale", "sysctl", "mount", "certificate", "file"),
)
"""Kinds by how much a difference surprises: what runs and what it is built on, before the long tail of files."""

_SYSTEM_IDS = range(100, 1000)
"""Handed out to system users and groups in the order of their installation (Debian Policy, 9.2.2)."""
_BY_SIZE = re.compile(r"(?:size|nr_inodes|nr_blocks|subvolid)=.*")
_NETWORKED = re.compile(r"[^/=][^:]*:.*|//.*")
_EVERYWHERE = ("0.0.0.0", "[::]", "*", "::")  # noqa: S104 - read, not bound


class Names(NamedTuple):
    """The names of a host's users and groups, by number: numbers mean something on their own host alone."""

    users: Mapping[int, str] = {}
    groups: Mapping[int, str] = {}


class Difference(NamedTuple):
    """One subject that is not the same. `before` and `after` are the facts' values; None where it is not there.

    `here` and `there` are what was compared: names for numbers, nothing that is each host's own. `hidden` names the
    masked keys of a file of which no other key differs: one of them may be what does.
    """

    kind: str
    subject: str
    before: Any
    after: Any
    here: Any
    there: Any
    hidden: tuple[str, ...] = ()

    @property
    def effect(self) -> Effect:
        """Give it as what would have to change here for it to be as there."""
        return Effect(self.kind, self.subject, operation(self.before, self.after), self.before, self.after)

    def turned(self) -> Difference:
        """Give it as seen from the other side."""
        return self._replace(before=self.after, after=self.before, here=self.there, there=self.here)


def names(facts: Iterable[Fact]) -> Names:
    """Gather the names of a host's users and groups."""
    users: dict[int, str] = {}
    groups: dict[int, str] = {}
    for fact in facts:
        if isinstance(fact.value, dict):
            found, field = (users, "uid") if fact.kind == "user" else (groups, "gid")
            if fact.kind in ("user", "group") and field in fact.value:
                found.setdefault(fact.value[field], fact.subject)
    return Names(users, groups)


def masked(facts: Iterable[Fact]) -> frozenset[tuple[str, str]]:
    """Name the keys and variables (kind, subject) whose value is masked: equal masks may hide other values."""
    return frozenset(fact[:2] for fact in facts if fact.kind in ("config", "variable") and MASK in str(fact.value))


def comparable(fact: Fact | None, known: Names) -> Any:
    """Give what of a fact's value can be compared with another host's; None for no fact."""
    if fact is None:
        return None
    change = _COMPARABLE.get(fact.kind)
    return fact.value if change is None or not isinstance(fact.value, dict) else change(dict(fact.value), known)


def _file(value: dict[str, Any], known: Names) -> dict[str, Any]:
    value.pop("mtime_ns", None)
    if value.get("type") != "file":
        value.pop("size", None)
    return _owned(value, known)


def _owned(value: dict[str, Any], known: Names) -> dict[str, Any]:
    for field, by_number in (("uid", known.users), ("gid", known.groups)):
        if field in value:
            value[field] = by_number.get(value[field], value[field])
    return value


def _user(value: dict[str, Any], known: Names) -> dict[str, Any]:
    value["gid"] = known.groups.get(value.get("gid", -1), value.get("gid"))
    return {**value, "uid": "system"} if value.get("uid") in _SYSTEM_IDS else value


def _group(value: dict[str, Any], known: Names) -> dict[str, Any]:
    del known
    return {**value, "gid": "system"} if value.get("gid") in _SYSTEM_IDS else value


def _mount(value: dict[str, Any], known: Names) -> dict[str, Any]:
    """Leave out a disk's name and UUID, and what follows from its size: the size itself counts, to two digits."""
    del known
    if not _NETWORKED.fullmatch(str(value.get("source", ""))):
        value.pop("source", None)
    options = value.get("options", [])
    words = options.split(",") if isinstance(options, str) else [str(option) for option in options]
    value["options"] = sorted(word for word in words if not _BY_SIZE.fullmatch(word))
    return {name: float(f"{held:.1e}") if isinstance(held, int) else held for name, held in value.items()}


_COMPARABLE: dict[str, Callable[[dict[str, Any], Names], Any]] = {
    "file": _file,
    "user": _user,
    "group": _group,
    "mount": _mount,
}


class Comparison:
    """Compares one host (here) with another (there): `differences` walks what is not the same.

    `is_meant` tells what is compared at all, by kind and subject. `hidden` are the masked keys of here (see `masked`).
    With `whole_files` a file is told beside its keys, too. Afterwards `hidden` names what cannot be compared: what is
    masked on both sides, of files in those that are not the same.
    """

    def __init__(
        self,
        here: Names,
        there: Names,
        hidden: Iterable[tuple[str, str]] = (),
        is_meant: Callable[[str, str], bool] = lambda *_: True,
        *,
        whole_files: bool = False,
    ) -> None:
        self._here, self._there, self._is_meant, self._whole_files = here, there, is_meant, whole_files
        meant = {key for key in hidden if is_meant(*key)}
        self.hidden: set[tuple[str, str]] = {key for key in meant if key[0] == "variable"}
        self._masked: dict[str, set[str]] = {}
        for _, subject in meant - self.hidden:
            self._masked.setdefault(subject.partition("#")[0], set()).add(subject)
        self._keys: dict[str, list[Difference]] = {}

    def differences(self, pairs: Iterable[Pair]) -> Iterator[Difference]:
        """Walk the differences of pairs that come in the order of facts; pairs that are equal may be among them."""
        ports: list[Difference] = []
        for found in self._compared(pairs):
            if found.kind == "port":
                ports.append(found)
            elif found.kind == "config":
                self._keys.setdefault(found.subject.partition("#")[0], []).append(found)
            elif found.kind == "file":
                yield from self._of_file(found)
            else:
                yield found
        yield from _own_addresses(ports)
        yield from (found for keys in self._keys.values() for found in keys)

    def _compared(self, pairs: Iterable[Pair]) -> Iterator[Difference]:
        for one, other in pairs:
            fact = one if one is not None else other
            if fact is None or not self._is_meant(fact.kind, fact.subject):
                continue
            here, there = comparable(one, self._here), comparable(other, self._there)
            if here != there:
                self.hidden.discard((fact.kind, fact.subject))
                self._masked.get(fact.subject.partition("#")[0], set()).discard(fact.subject)
                yield Difference(fact.kind, fact.subject, one and one.value, other and other.value, here, there)

    def _of_file(self, found: Difference) -> Iterator[Difference]:
        """Tell a file by its keys where these differ: as a file only what they do not tell."""
        stem, lead = found.subject.partition("#")[0], found.subject + "#"
        keys = self._keys.pop(stem, [])
        told = [key for key in keys if key.subject.startswith(lead)]
        if len(told) < len(keys):
            self._keys[stem] = [key for key in keys if not key.subject.startswith(lead)]
        if found.here is None or found.there is None:
            yield found  # all its keys come and go with it
            return
        yield from told
        hidden = sorted(subject for subject in self._masked.get(stem, ()) if subject.startswith(lead))
        self.hidden.update(("config", subject) for subject in hidden)
        if not told:
            yield found._replace(hidden=tuple(hidden))
        elif self._whole_files or _about(found.here) != _about(found.there):
            yield found


def _about(state: Any) -> Any:
    """Give a file's state without its bytes."""
    return {name: held for name, held in state.items() if name not in ("size", "sha256")}


def _own_addresses(ports: list[Difference]) -> Iterator[Difference]:
    """Leave out a port that the same program has on both sides, on an address of each host's own."""
    unmatched: dict[tuple[str, str, str], list[Difference]] = {}
    for found in ports:
        protocol, _, rest = found.subject.partition("/")
        address, _, port = rest.rpartition(":")
        if not address or address in _EVERYWHERE or address.startswith(("127.", "[::1", "::1")):
            yield found
            continue
        program = str(found.here if found.there is None else found.there)
        twins = unmatched.setdefault((protocol, port, program), [])
        twin = next((t for t in twins if (t.here is None) != (found.here is None)), None)
        if twin is None or (found.here is not None and found.there is not None):
            twins.append(found)
        else:
            twins.remove(twin)
    yield from (found for left in unmatched.values() for found in left)
