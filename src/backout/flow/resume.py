"""Going on with a rollout: what was wanted, and what stands where, from the hosts' ledgers and the journal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from backout.errors import BackoutError, UsageError
from backout.flow.fleet import Fleet
from backout.flow.rehearse import Wanted
from backout.flow.session import Session
from backout.model.redact import redact, redact_words
from backout.model.rollout import ROLLOUT, Standing, is_of, standing
from backout.model.selector import parse_selector
from backout.store.journal import Journal

EVENT = "rollout"
"""The type of an event that tells of a rollout: its wish, and what became of it on each host."""


def wish(
    rollout: str,
    wanted: Wanted,
    *,
    digest: str | None,
    hosts: Sequence[str],
    odd: Collection[str],
    planned: Sequence[Sequence[str]],
) -> dict[str, Any]:
    """Write down what a rollout wants, for the ledgers and the journal; secrets are left out, and that is said."""
    words = redact_words(wanted.argv)
    return {
        "id": rollout,
        "command": words,
        "redacted": words != list(wanted.argv),
        "expect": [str(selector) for selector in wanted.expect],
        "network": wanted.network,
        "network_allow": list(wanted.network_allow),
        "timeout_s": wanted.timeout_s,
        "ok_exit": list(wanted.ok_exit),
        "allow_failure": wanted.allow_failure,
        "after": wanted.after,
        "why": redact(wanted.why),
        "digest": digest or "",
        "hosts": list(hosts),
        "odd": sorted(odd),
        "waves": [list(wave) for wave in planned],
    }


def wanted_again(recorded: dict[str, Any], given: Wanted, environment: str) -> Wanted:
    """Read what a rollout wanted; what the record leaves out has to be `given` again, as it was."""
    words, line = recorded["command"], f"backout run -e {environment} --resume {recorded['id']}"
    if recorded["redacted"] and not given.argv:
        raise UsageError(
            "The command of this rollout holds what looks like a secret, which no record keeps.",
            next=f"Give the command as it was: {line} -- CMD…",
        )
    if given.argv and redact_words(given.argv) != words:
        raise UsageError(
            f"That is not the command of rollout {recorded['id']}, which is {' '.join(words)}.",
            next=line if not recorded["redacted"] else f"{line} -- CMD…",
        )
    return given._replace(
        argv=given.argv or tuple(words),
        expect=tuple(parse_selector(text) for text in recorded["expect"]),
        network=recorded["network"],
        network_allow=tuple(recorded["network_allow"]),
        timeout_s=recorded["timeout_s"],
        ok_exit=tuple(recorded["ok_exit"]),
        allow_failure=recorded["allow_failure"],
        after=recorded["after"],
        why=given.why or recorded["why"],
        accept=recorded["digest"] or None,
    )


def found_wish(fleet: Fleet, journal: Journal, rollout: str) -> dict[str, Any]:
    """Find what a rollout wanted: on any host that had begun with it, else in this journal."""

    def there(session: Session) -> dict[str, Any] | None:
        bodies = [change["body"] for change in session.changes() if is_of(rollout, change["id"])]
        return next((body["rollout"] for body in bodies if "rollout" in body), None)

    for answer in fleet.each(there).values():
        if isinstance(answer, dict):
            return answer
    for event in reversed(list(journal.events(type=EVENT))):
        known: dict[str, Any] = event.body.get("wish", {})
        if ROLLOUT(known) and known["id"] == rollout:
            return known
    raise UsageError(
        f"No host that was reached, nor the journal, knows a rollout {rollout}.", next="backout log lists changes."
    )


def stand(fleet: Fleet, rollout: str) -> dict[str, Standing]:
    """Tell where a rollout's change stands on each host; what a crash left half-way there is recovered before.

    A host that cannot tell is left out, and in the fleet's `failed`.
    """

    def tell(session: Session) -> Standing:
        if session.unfinished(wait=True):
            session.link.ask("recover")
            session.learn()
        return standing(session.changes(), rollout)

    found: dict[str, Standing] = {}
    for host, answer in fleet.each(tell).items():
        if isinstance(answer, BackoutError):
            fleet.failed[host] = answer
        else:
            found[host] = answer
    return found
