"""`[search]`: what is searched besides the journal."""

from __future__ import annotations

from backout.config.table import Source, Table
from backout.config.values import Config
from backout.model import convert

SEARCH_KEYS = ("folders",)


def told(source: Source, top: Table, config: Config) -> Config:
    """Read which folders of notes are searched; one that is not absolute is below the file's own."""
    table = Table(source, top["search"], ("search",), SEARCH_KEYS)
    return config._replace(folders=table.take("folders", convert.list_of(convert.text), ()))
