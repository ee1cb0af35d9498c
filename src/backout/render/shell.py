"""What `backout shell` shows of its own: a line above the prompt."""

from __future__ import annotations

from backout.render.screen import Screen

_BOLD, _USUAL = "\x1b[1m", "\x1b[0m"


def above(environment: str, incident: str, since_s: float, due: str, screen: Screen) -> str:
    """Draw the clock of an incident and the next word due as one line; what a narrow screen lacks is its name."""
    minutes, seconds = divmod(max(0, int(since_s)), 60)
    clock = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    text = screen.visible(" · ".join(filter(None, (clock, environment, due, incident))))
    text = text[: screen.width - 1]
    return f"{_BOLD}{text}{_USUAL}\n" if screen.color else f"{text}\n"
