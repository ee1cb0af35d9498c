"""The drill: the story that backout exists to make impossible, replayed with real packages and real processes.

It drives the command line as a person would, as a process of its own, and nothing imports it but the command line.
"""

from __future__ import annotations

from backout.drill.story import main

__all__ = ["main"]
