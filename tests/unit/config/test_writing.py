"""What is written into a backout.toml is read back as what was meant."""

from __future__ import annotations

import datetime as dt
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.config.writing import is_writable, key, table, text, texts

SAYABLE = st.text(st.characters(exclude_categories=["Cs"]))


@given(SAYABLE, SAYABLE)
def test_any_text_is_read_back_as_it_was_written(name: str, value: str) -> None:
    """A reason with a quote, a newline or a control character must neither break the file nor become another one."""
    assert tomllib.loads(f"{key(name)} = {text(value)}\n") == {name: value}


@given(st.lists(SAYABLE), st.dictionaries(SAYABLE, st.integers(0, 9999)), st.booleans(), st.dates())
def test_a_table_is_read_back_as_it_was_written(
    items: list[str], counts: dict[str, int], truth: bool, day: dt.date
) -> None:
    """Lists, tables on a line, flags and dates are what guards have besides texts."""
    values = {"items": items, "counts": counts, "truth": truth, "day": day}
    assert tomllib.loads(table("guards", values)) == {"guards": [values]}
    assert tomllib.loads(f"items = {texts(items)}") == {"items": items}


@pytest.mark.parametrize(("value", "writable"), [("caf\udce9", False), ("café \U0001f600", True), ("", True)])
def test_what_toml_cannot_hold_is_known_beforehand(value: str, writable: bool) -> None:
    """Bytes that are not UTF-8 cannot be written: whoever asks must be told, not be given a broken file."""
    assert is_writable(value) is writable
