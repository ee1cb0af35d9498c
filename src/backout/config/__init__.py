"""backout.toml: found, read and checked, or refused with the place of the mistake (design, section 7)."""

from backout.config.find import FILE_NAME, find, load
from backout.config.parse import parse
from backout.config.template import Found, render_template
from backout.config.values import LOCAL, NETWORKS, Command, Config, Environment

__all__ = [
    "FILE_NAME",
    "LOCAL",
    "NETWORKS",
    "Command",
    "Config",
    "Environment",
    "Found",
    "find",
    "load",
    "parse",
    "render_template",
]
