"""`[review]`: how long after the end of an incident its review opens."""

from __future__ import annotations

from backout.config.table import Source, Table
from backout.config.values import Config
from backout.model import convert
from backout.model.convert import WantedError

REVIEW_KEYS = ("cooling_off",)


def told(source: Source, top: Table, config: Config) -> Config:
    """Read how long it takes for the dust to settle."""
    table = Table(source, top["review"], ("review",), REVIEW_KEYS)
    return config._replace(cooling_off_s=table.take("cooling_off", _cooling_off, config.cooling_off_s))


def _cooling_off(value: object) -> float:
    """Take a duration, or 0 for none."""
    if value in (0, "0", "0s") and not isinstance(value, bool):
        return 0.0
    try:
        return convert.duration_s(value)
    except WantedError:
        raise WantedError('a duration such as "12h", or 0 for none', value) from None
