"""backout.toml with anything in it: it says what is wanted, or the mistake is named with its place; never a traceback.

Who finds it in a working directory did not always write it.
"""

from __future__ import annotations

import json
import re
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.config.find import load
from backout.config.values import Config
from backout.errors import ConfigError
from backout.model.check import CHECK
from kit.hostile import BYTES, LONG, edited, hunted, mutated

WHOLE = """\
[environments.production]
hosts = ["web1.example.com", "local"]
become = "sudo"
same_as = "staging"
watch = ["/etc", "/srv/shop"]
services = ["shop"]
network = "packages"
network_allow = ["git.example.com:443", "[::1]:8080"]

[[environments.production.checks]]
name = "imports"
run = '''cd /srv/shop &&
venv/bin/python -c "import app"'''
[[environments.production.checks]]
name = "answers"
http = "http://127.0.0.1:8000/health"
rehearsal = { start = "venv/bin/gunicorn app:app", http = "http://127.0.0.1:8001/health" }
within = "5m"

[environments.staging]
hosts = ["staging.example.com"]

[commands.puppet]
run = "puppet agent -t"
ok_exit = [0, 2]
expect = ["file:/srv/shop/gunicorn.conf.py", "service:shop*", "*:*"]
timeout = "90s"
"""
VALUES: tuple[Any, ...] = (
    *(0, 1.5, float("nan"), "9" * 400 + "s", "0s", "1e9s", "http://[::1", "http://h:99999", "http://\u212a.example"),
    *("a:0", "[]:1", "file:", ":", "local", "../..", "production", [], [[]], {}, {"start": 1}, True, "\x85", "1.h"),
)


def written(value: Any, *, top: bool = True) -> str:
    """Write a value as TOML, tables inline below the top; what TOML does not have becomes a text."""
    if isinstance(value, dict):
        told = [f"{_text(str(key))} = {written(inner, top=False)}" for key, inner in value.items()]
        return "\n".join(told) + "\n" if top else "{" + ", ".join(told) + "}"
    if isinstance(value, list):
        return f"[{', '.join(written(inner, top=False) for inner in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else _text(str(value))


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def read(content: bytes) -> Config | None:
    """Read a file of that content as every command does; None when it was told as wrong, with the file's name."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = Path(folder) / "backout.toml"
        path.write_bytes(content)
        try:
            return load(str(path))
        except ConfigError as error:
            assert error.what.startswith(str(path))
            assert re.match(r":\d+: | is not UTF-8 text \(byte \d+\)", error.what[len(str(path)) :]), error.what
            assert len(error.what) < 1000
            return None


def usable(config: Config | None) -> None:
    """What was read can be asked for, and sent to a host half."""
    if config is not None:
        for environment in config.environments:
            assert config.environment(environment.name) is environment
            assert environment.hosts
            assert all(CHECK(json.loads(json.dumps(check._asdict()))) for check in environment.checks)
        for command in config.commands:
            assert config.command(command.name) is command
            assert command.timeout_s is None or 0 < command.timeout_s < float("inf")


@hunted(150)
@given(mutated((WHOLE.encode(),)))
def test_a_config_of_other_bytes_is_read_or_told_as_wrong(content: bytes) -> None:
    """A line is lost, a byte is none of UTF-8, a bracket is never closed."""
    usable(read(content))


@hunted(200)
@given(
    st.one_of(edited((tomllib.loads(WHOLE),)), edited(({"environments": {"a": {"hosts": ["local"]}}},), edits=1)),
    st.sampled_from(VALUES),
)
def test_a_config_of_other_values_is_read_or_told_as_wrong(value: Any, other: Any) -> None:
    """Any key may hold any type, and any table any key."""
    usable(read(_encoded(value if isinstance(value, dict) else {"environments": value})))
    for key in ("hosts", "watch", "network_allow", "same_as", "checks", "become"):
        usable(read(_encoded({"environments": {"a": {"hosts": ["local"], key: other}}})))
    for key in ("ok_exit", "expect", "timeout", "network"):
        usable(read(_encoded({"commands": {"a": {"run": "true", key: other}}})))
    for key in ("name", "run", "http", "rehearsal", "within"):
        check = {"name": "c", "http": "http://127.0.0.1/", key: other}
        usable(read(_encoded({"environments": {"a": {"hosts": ["local"], "checks": [check]}}})))


def _encoded(value: dict[str, Any]) -> bytes:
    return written(value).encode(errors="surrogatepass")


def _said(parts: Iterable[bytes]) -> list[bytes]:
    return [prefix + part for prefix in (b"", b"a = ", b"[", b'a = """') for part in parts]


@pytest.mark.parametrize("content", _said((*LONG, *BYTES, b"1" * 5000, b"a." * 3000 + b"a = 1")), ids=len)
def test_a_config_of_great_depth_or_length_is_told_as_wrong(content: bytes) -> None:
    """What a parser walks into, or multiplies, is no reason to fall over."""
    usable(read(content))
    usable(read(WHOLE.encode() + b"x = " + content))
