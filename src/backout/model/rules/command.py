"""Refuses what a program refuses that reads the effects document."""

from __future__ import annotations

from backout.model import convert
from backout.model.guard import Guard, Key, Known
from backout.model.verdict import Reason

KEYS = {
    "run": Key(convert.text, "text, needed: a line for `sh -c`, run here, beside backout.toml", required=True),
    "within": Key(convert.duration_s, "duration: how long it may take. Default: 60 s", default=60.0),
}
NEEDS = ("answers",)


def judge(guard: Guard, known: Known) -> list[Reason]:
    """Refuse unless the program let it through: one that gave no answer let nothing through."""
    answer = (known.answers or {}).get(guard.name)
    if answer is None:
        return [Reason("its program was not asked.")]
    return [Reason(answer.text, next=answer.next)] if answer.refuses else []
