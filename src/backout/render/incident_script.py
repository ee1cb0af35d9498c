"""The commands of an incident as a script for any POSIX shell: what worked, in order, with what came of it.

What was typed in bash is given to bash as one word: a script that mixes dialects would not even be read.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from datetime import tzinfo
from typing import Any

from backout.model.redact import MASK
from backout.render.incident_story import command_remark, moment_text
from backout.render.screen import Screen

_PLAIN = re.compile(r"[A-Za-z0-9_./][\w@%+:,./-]*(?: [\w@%+=:,./-]+)*", re.ASCII)
"""A line that every shell reads alike."""
_RESERVED = {
    *("case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if", "in", "select", "then"),
    *("time", "until", "while"),
}
"""Shell Command Language, 2.4 (POSIX.1-2017), and bash's own."""
_SCREEN = Screen()


def script(document: Mapping[str, Any], here: str, zone: tzinfo | None = None) -> str:
    """Write the script; `here` is the host on which it is to run: commands of others go there by ssh."""
    head = [
        "#!/bin/sh",
        _comment(f"What was done in incident {document['id']}: {document['text'] or 'not said what'}"),
        _comment("Each command runs by itself, in its folder: what one exports or assigns, the next does not see."),
        _comment("What failed, and what held a secret, is commented out. Read it before it is run."),
        "set -eu",
    ]
    rows = [row for row in document["entries"] if row["kind"] == "command" and _words(row["body"])]
    parts = [block for row in rows for block in ("", *_command(row, here, zone))]
    return "\n".join([*head, *(parts or ["", _comment("No command was recorded.")])]) + "\n"


def _words(body: Mapping[str, Any]) -> list[str]:
    words = body.get("command")
    return list(map(str, words)) if isinstance(words, list) else []


def _command(row: Mapping[str, Any], here: str, zone: tzinfo | None) -> Iterable[str]:
    body, words = row["body"], _words(row["body"])
    host = str(body.get("host") or here)
    yield _comment(f"{moment_text(row['at'], zone)}, {row['actor']} on {host}: {command_remark(body)}")
    for line in [*row["corrected"], *([row["text"]] if row["corrected"] else [])]:
        yield _comment(line)
    why = _unfit(body, words)
    line = _line(body, words)
    if host not in (here, "local"):
        line = f"ssh -- {shlex.quote(host)} {shlex.quote(line)}"
    if why:
        yield _comment(f"{why}: {' '.join(words)}")
    else:
        yield line


def _unfit(body: Mapping[str, Any], words: list[str]) -> str:
    """Say why a command is left out."""
    text = "\n".join(words)
    if body.get("exit_code") != 0:
        return "failed"
    if MASK in text:
        return "holds a secret, which was not recorded"
    if any(_SCREEN.visible(part) != part for part in re.split(r"[\n\t]", text)):
        return "holds characters that cannot be shown"
    return ""


def _line(body: Mapping[str, Any], words: list[str]) -> str:
    """Write a command in its folder; a subshell keeps that from the next one."""
    if len(words) > 1:
        first = words[0]
        quoted = f"'{first}'" if first in _RESERVED or ("=" in first and "'" not in first) else shlex.quote(first)
        line = " ".join([quoted, *map(shlex.quote, words[1:])])
    elif _PLAIN.fullmatch(words[0]) and words[0].split(" ")[0] not in _RESERVED:
        line = words[0]
    else:
        line = f"{'bash' if body.get('shell') else 'sh'} -c {shlex.quote(words[0])}"
    return f"(cd {shlex.quote(str(body['cwd']))} && {line})" if body.get("cwd") else line


def _comment(text: str) -> str:
    """Write a comment, on one line whatever it holds."""
    return f"# {_SCREEN.visible(text)}"
