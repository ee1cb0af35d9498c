"""Configuration: key by key where a file can be read for sure, else the file with a diff."""

from __future__ import annotations

import json
import sys

import pytest

from backout.lens import config
from kit.trees import TreeView, accounted, named, regular

INI = b"; head\n[server]\nport = 80\nhost = a\n\n[db]\nurl = postgres://u:old@h/x\n"
ENV = b"# head\nexport PORT=80\nSECRET_KEY='abc'\nEMPTY=\n"
JSON = b'{\n  "a": 1,\n  "b": {"c": [1, 2], "d.e": null}\n}\n'


def told(path: str, before: bytes, after: bytes) -> dict[str, tuple[str, object, object]]:
    """What is told of one edited file."""
    return named(accounted(TreeView({path: before}, {path: after})))


@pytest.mark.parametrize(
    ("path", "before", "old", "new", "effect"),
    [
        ("/srv/a.ini", INI, b"port = 80", b"port = 81", ("config:/srv/a.ini#server.port", ("edited", "80", "81"))),
        ("/srv/a.cfg", INI, b"host = a\n", b"", ("config:/srv/a.cfg#server.host", ("removed", "a", None))),
        ("/srv/.env", ENV, b"PORT=80", b"PORT=81", ("config:/srv/.env#PORT", ("edited", "80", "81"))),
        ("/etc/default/x", ENV, b"EMPTY=\n", b"EMPTY=1\n", ("config:/etc/default/x#EMPTY", ("edited", "", "1"))),
        ("/srv/a.json", JSON, b'"a": 1', b'"a": true', ("config:/srv/a.json#a", ("edited", 1, True))),
        ("/srv/a.json", JSON, b"null", b'"n"', ('config:/srv/a.json#b."d.e"', ("edited", "null", "n"))),
        ("/srv/a.json", JSON, b"[1, 2]", b"[1]", ("config:/srv/a.json#b.c", ("edited", [1, 2], [1]))),
    ],
)
def test_one_changed_setting_is_one_effect(
    path: str, before: bytes, old: bytes, new: bytes, effect: tuple[str, object]
) -> None:
    """What was asked for is "one known setting"; the report must be able to say that it is all."""
    assert list(told(path, before, before.replace(old, new)).items()) == [effect]


def test_toml_is_read_where_the_interpreter_can() -> None:
    """Before Python 3.11 the file is shown with a diff instead."""
    found = told("/srv/a.toml", b"[a]\nx = 1\n", b"[a]\nx = 1\ny = [\n  1,\n]\n")
    assert list(found) == (["config:/srv/a.toml#a.y"] if sys.version_info >= (3, 11) else ["file:/srv/a.toml"])


def test_new_sections_and_keys_are_told_one_by_one() -> None:
    """Also where several new lines stand together."""
    found = told("/srv/a.ini", INI, INI + b"\n[new]\nx = 1\ny = 2\n")
    assert {key: value[2] for key, value in found.items()} == {
        "config:/srv/a.ini#new.x": "1",
        "config:/srv/a.ini#new.y": "2",
    }


def test_secrets_are_masked_and_still_bound() -> None:
    """A report goes to many eyes; the digest must still tell two secrets apart."""
    contents = set()
    for word in (b"one", b"two"):
        view = TreeView({"/srv/.env": ENV}, {"/srv/.env": ENV.replace(b"abc", word)})
        (effect,) = accounted(view).effects
        assert "abc" not in json.dumps(effect.document())
        assert word.decode() not in json.dumps(effect.document())
        contents.add(effect.content)
    assert len(contents) == 2


def test_a_secret_inside_a_list_is_masked_too() -> None:
    """Nesting must not be a way out."""
    before = b'{"users": [{"name": "a", "password": "hunter2"}]}'
    found = told("/srv/a.json", before, before.replace(b'"a"', b'"b"'))
    assert "hunter2" not in str(found)
    assert "'b'" in str(found)


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("/srv/a.ini", INI, INI.replace(b"; head", b"; other")),
        ("/srv/a.ini", INI, INI.replace(b"\n\n", b"\n\n\n")),
        ("/srv/a.ini", INI, INI.replace(b"port = 80", b"# better\nport = 81")),
        ("/srv/a.ini", INI, INI.replace(b"\n", b"\r\n")),
        ("/srv/a.ini", INI, b"\xef\xbb\xbf" + INI.replace(b"80", b"81")),
        ("/srv/a.ini", INI, INI + b"[db]\nurl = x\n"),
        ("/srv/a.ini", INI, b"!include x\n" + INI.replace(b"80", b"81")),
        ("/srv/a.ini", b"port = 80\n", b"port = 81\n"),
        ("/srv/a.json", JSON, JSON.replace(b"1,", b"1,   ")),
        ("/srv/a.json", JSON, JSON.replace(b'"a": 1', b'"a": 2, "a": 3')),
        ("/srv/a.json", b"[1]", b"[2]"),
        ("/srv/a.json", b"[" * 100_000, b"{}"),
        ("/srv/a.json", JSON, b'{"a": 2}\0'),
        ("/srv/.env", ENV, ENV + b"PORT=82\n"),
        ("/srv/.env", ENV, ENV + b"X='two\nlines'\n"),
        ("/srv/.env", ENV, ENV + b"if true; then X=1; fi\n"),
        ("/srv/a.yaml", b"a: 1\n", b"a: 2\n"),
        ("/srv/gunicorn.conf.py", b"workers = 1\n", b"workers = 2\n"),
        ("/srv/a.ini", INI, b""),
    ],
)
def test_what_keys_do_not_account_for_stays_a_file(path: str, before: bytes, after: bytes) -> None:
    """Law 2: a comment, the layout, a key twice, an include: whatever is left over is shown as a file with its diff."""
    assert list(told(path, before, after)) == [f"file:{path}"]


def test_a_file_whose_mode_changed_as_well_stays_a_file() -> None:
    """A key says nothing about who may read it now."""
    after = INI.replace(b"80", b"81")
    view = TreeView({"/srv/a.ini": INI}, {"/srv/a.ini": (after, regular(after, mode=0o666))})
    assert list(named(accounted(view))) == ["file:/srv/a.ini"]


def test_a_new_file_stays_a_file() -> None:
    """It is new, whatever keys it has."""
    assert list(named(accounted(TreeView({}, {"/srv/a.ini": INI})))) == ["file:/srv/a.ini"]


def test_a_file_with_only_some_keys_keeps_all_else() -> None:
    """`split` tries a part of a change, with everything that people wrote around it."""
    path = b"/srv/a.ini"
    after = INI.replace(b"port = 80", b"port = 81").replace(b"host = a", b"host = b") + b"new = 1\n"
    assert config.project(path, INI, after, ["/srv/a.ini#server.port"]) == INI.replace(b"80", b"81")
    assert config.project(path, INI, after, ["/srv/a.ini#db.new"]) == INI + b"new = 1\n"
    assert config.project(path, INI, after, []) == INI
    keys = ["/srv/a.ini#server.port", "/srv/a.ini#server.host", "/srv/a.ini#db.new"]
    assert config.project(path, INI, after, keys) == after
    assert config.project(b"/srv/a.py", INI, after, keys) is None


def test_a_json_key_added_at_the_end_brings_the_comma_before_it() -> None:
    """The line above changes too, and means nothing new."""
    before, after = b'{\n  "a": 1\n}\n', b'{\n  "a": 1,\n  "b": 2\n}\n'
    assert list(told("/srv/a.json", before, after)) == ["config:/srv/a.json#b"]
    assert config.project(b"/srv/a.json", before, after, ["/srv/a.json#b"]) == after
