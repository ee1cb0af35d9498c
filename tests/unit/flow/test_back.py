"""Which changes are taken back: the newest that stands, or down to one."""

from __future__ import annotations

from typing import Any

from backout.flow.back import standing


def change(name: str, *command: str, stands: bool = True) -> dict[str, Any]:
    """Give a change as the host lists it."""
    return {"id": name, "stands": stands, "body": {"command": list(command) or ["true"]}}


def test_a_pause_is_passed_over_and_ends_alone_when_it_is_named() -> None:
    """An agent that is let loose by the next `back` applies once more what that takes back, in the same minute."""
    changes = [
        change("a"),
        change("b", "backout", "pause", "puppet.service"),
        change("c"),
        change("d", stands=False),
        change("e", "backout", "pause", "cron.service"),
    ]
    assert [one["id"] for one in standing(changes, None)] == ["c", "a"]
    assert [one["id"] for one in standing(changes, "a")] == ["c", "a"]
    assert [one["id"] for one in standing(changes, "b")] == ["b"]
    assert standing(changes, "d") == []
