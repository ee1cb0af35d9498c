"""The second letter: a review that is closed says whether it can happen again, to everybody who had a letter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backout.flow.calm import Calm
from backout.flow.review import Reviewing
from backout.model.review import CLOSED, actions
from backout.render.letter import can_it_happen_again


def second_letters(reviewing: Reviewing, new_id: Callable[[], str]) -> list[dict[str, Any]]:
    """Keep a draft for each audience, where its like is not kept already; none of a review that is not closed.

    They are sent as those of `calm` are: by `tell --letter`.
    """
    review = reviewing.newest
    if review.state != CLOSED:
        return []
    says = {guard.name: guard.says for guard in reviewing.config.guards}
    again = can_it_happen_again(actions(review.text), says)
    calm = Calm(reviewing.journal, reviewing.config, reviewing.who, reviewing.incident.id, new_id)
    return calm.write_again(again)
