"""An incident is a recurrence where it says what an earlier one said, and only if that tells one fault from others."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from backout.model.incident import Entry, Incident
from backout.model.ledger import KEPT, REFUSED, UNDONE, Change
from backout.model.recurrence import Today, bad_change, recurrences, signs, standing
from backout.model.review import Action, Standing

RAISED = """\
[2026-06-11 16:59:19 +0000] [27898] [ERROR] Exception in worker process
Traceback (most recent call last):
  File "/srv/{app}/app.py", line {line}, in <module>
    import pkg_resources
ModuleNotFoundError: No module named 'pkg_resources'
[2026-06-11 16:59:20 +0000] [27878] [ERROR] Reason: Worker failed to boot.
"""
MODULE = "ModuleNotFoundError: No module named 'pkg_resources'"
DAY = 86400.0


def entry(sort: str, text: str = "", at: float = 1.0, **body: Any) -> Entry:
    """A line of a timeline."""
    return Entry(1, at, at, "ada", sort, text, body)


def red(output: str) -> Entry:
    """What a red check said."""
    return entry("check", "site is unhealthy", name="site", host="web1", result="unhealthy", output=output)


def incident(name: str, *entries: Entry, at: float = 0.0, text: str = "", ended: float | None = 1.0) -> Incident:
    """An incident that was declared on a day, and lasted for so many days."""
    clocks: dict[str, tuple[float, ...]] = {"declared": (at * DAY,)}
    if ended is not None:
        clocks["resolved"] = ((at + ended) * DAY,)
    state = "open" if ended is None else "resolved"
    return Incident(name, "production", state, text, 1, at * DAY, "ada", clocks, (), entries)


def test_the_same_fault_months_apart_is_one_whatever_differs_each_time() -> None:
    """The application, its lines, its process ids and the day are others; the fault is the same."""
    first = incident("i1", red(RAISED.format(app="shop", line=3)))
    other = incident("i2", red('psycopg2.errors.UndefinedTable: relation "orders" does not exist'), at=30)
    second = incident("i3", red(RAISED.format(app="office", line=71)), at=170, ended=None)
    (found,) = recurrences(second, [first, other, second])
    assert (found.incident.id, found.lines) == ("i1", (MODULE,))
    assert recurrences(first, [first, other, second]) == ()


@pytest.mark.parametrize(
    "said",
    [
        entry("note", f"journalctl says:\n{RAISED.format(app='shop', line=1)}"),
        entry("note", MODULE),
        entry("command", "venv/bin/python -c 'import app'", exit_code=1, tail=RAISED.format(app="x", line=9)),
        entry("command", "journalctl -u shop", exit_code=0, tail=RAISED.format(app="x", line=9)),
        entry("command", "journalctl -u shop", exit_code=0, tail="(the end)", output="sha"),
        entry("change", "c1", kind="kept", host="web1", body={"results": [
            {"name": "site", "where": "after", "result": "unhealthy", "output": RAISED.format(app="x", line=9)}
        ]}),
        entry("change", "c1", kind="undoing", host="web1", body={"because": [
            {"name": "site", "where": "after", "result": "unhealthy", "output": RAISED.format(app="x", line=9)}
        ]}),
    ],
)  # fmt: skip
def test_it_is_seen_wherever_it_was_printed_or_pasted(said: Entry) -> None:
    """Who was there may have had it from a check, from a log, or from a colleague's message."""
    kept = {"sha": RAISED.format(app="x", line=2) + "\n".join(f"line {n}" for n in range(100))}
    then, now = incident("i1", red(RAISED.format(app="shop", line=3))), incident("i2", said, at=9)
    assert [one.lines for one in recurrences(now, [then], lambda name: kept.get(name, ""))] == [(MODULE,)]


def test_the_text_of_the_alarm_counts() -> None:
    """Somebody pastes the last line, and that is all there is."""
    then = incident("i1", red(RAISED.format(app="shop", line=3)))
    assert recurrences(incident("i2", at=9, text="the shop answers 502"), [then]) == ()
    assert recurrences(incident("i2", at=9, text=MODULE), [then])


@pytest.mark.parametrize(
    "output",
    [
        "",
        "Exit code 1.",
        "Exit code 1.\n",
        "No end within 10.0 s.",
        "500 Internal Server Error",
        "502 Bad Gateway\n<html><body>nginx</body></html>",
        "http://127.0.0.1:8000/health: URLError: <urlopen error [Errno 111] Connection refused>",
        "http://127.0.0.1:8000/health: ConnectionRefusedError: [Errno 111] Connection refused",
        "curl: (7) Failed to connect to shop.example.com port 443 after 2 ms: Couldn't connect to server",
        'psql: error: connection to server at "db.internal", port 5432 failed: Connection refused',
        (
            "2026/11/28 10:00:00 [error] 7#7: *1 connect() to unix:/run/shop.sock failed (111: Connection refused) "
            'while connecting to upstream, client: 10.0.0.1, server: shop, request: "GET / HTTP/1.1"'
        ),
        "TimeoutError: timed out",
        "requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='x', port=443): Read timed out. (read timeout=5)",
        "AssertionError",
        "subprocess.CalledProcessError: Command '7' returned non-zero exit status 3.",
        "Error: failed",
        "fatal error: 17",
    ],
)
def test_what_any_fault_says_marks_nothing(output: str) -> None:
    """A mark that is wrong accuses a guard that holds, and after two of those nobody reads the third."""
    assert signs(incident("i1", red(output))) == {}
    assert recurrences(incident("i2", red(output), at=9), [incident("i1", red(output))]) == ()


@pytest.mark.parametrize(
    ("output", "sign"),
    [
        (RAISED.format(app="shop", line=3), MODULE),
        ("Exit code 1.\nsh: 1: /srv/shop/venv/bin/gunicorn: not found", "sh: *: */gunicorn: not found"),
        ("500 Internal Server Error\nMemoryError", "MemoryError"),
        ('FATAL: database "shop" does not exist', 'FATAL: database "shop" does not exist'),
        ("OSError: [Errno 28] No space left on device: '/a/x'", "OSError: [Errno 28] No space left on device: '*/x'"),
        ("nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)",
         "nginx: [emerg] bind() to * failed (*: Address already in use)"),
        ("state: draining", "state: draining"),
    ],
)  # fmt: skip
def test_what_names_the_fault_is_a_signature(output: str, sign: str) -> None:
    """The rules against false marks must not take the true ones along."""
    assert signs(incident("i1", red(output))) == {sign: True}


def test_the_same_slip_of_the_fingers_is_no_fault_unless_a_check_said_it_too() -> None:
    """What a person typed wrong in two nights tells of the keyboard, not of the shop."""
    typed = entry("command", "cat", exit_code=1, tail="cat: /var/log/shop/eror.log: No such file or directory")
    first, second = incident("i1", typed), incident("i2", typed, at=9)
    assert recurrences(second, [first]) == ()
    seen = incident("i1", red("cat: /var/log/shop/eror.log: No such file or directory"))
    assert recurrences(second, [seen])
    unknown = entry("command", "restrat", exit_code=127, tail="sh: 1: restrat: not found")
    assert signs(incident("i1", unknown)) == {}


def test_what_was_open_at_the_same_time_is_the_same_trouble() -> None:
    """Staging fell with production: that is one night, not two."""
    said = red(RAISED.format(app="shop", line=3))
    own = incident("i2", said, at=9, ended=None)
    assert recurrences(own, [incident("i1", said, at=8, ended=2)]) == ()
    assert recurrences(own, [incident("i1", said, at=8, ended=None)]) == ()
    assert [one.incident.id for one in recurrences(own, [incident("i1", said, at=1), incident("i0", said, at=5)])] == [
        "i0",
        "i1",
    ]


def change(name: str, at: float, state: str = KEPT, **body: Any) -> Change:
    """A change of production."""
    return Change(name, state, at * DAY, {"environment": "production", "command": ["x"], **body}, "web1")


def test_the_bad_change_is_the_suspect_then_what_was_taken_back_then_the_newest_before_the_alarm() -> None:
    """Whoever asks whether a guard was in force asks about one change."""
    known = [change("c1", 1), change("c2", 2, UNDONE), change("c3", 3, REFUSED), change("c4", 30)]
    known += [change("b1", 2.5, undoes="c1"), change("s1", 2.8, environment="staging")]
    own = incident("i1", at=10)
    found = bad_change(own, known)
    assert found is not None
    assert found.id == "c2"
    taken = own._replace(entries=(entry("change", "b1", kind="prepared", body={"undoes": "c1"}),))
    assert bad_change(taken, known) == known[0]
    backed_out = own._replace(entries=(*taken.entries, entry("change", "c4", kind="undone", body={})))
    assert bad_change(backed_out, known) == known[3]
    assert bad_change(backed_out._replace(suspects=("gone", "c1")), known) == known[0]
    assert bad_change(own, []) is None


def outcome(name: str, said: str) -> Mapping[str, Any]:
    """What a change's record says of a guard."""
    return {"name": name, "rule": "max-jump", "outcome": said, "reasons": ["it jumps"]}


@pytest.mark.parametrize(
    ("proof", "body", "expected"),
    [
        (Standing("guard", "stays", None), {"guards": [outcome("stays", "overridden")]}, "overridden"),
        (Standing("guard", "stays", None), {"guards": [outcome("stays", "warned")]}, "warned"),
        (Standing("guard", "stays", None), {"guards": [outcome("other", "overridden")]}, "in force"),
        (Standing("guard", "gone", None), {}, "missing"),
        (Standing("guard", "gone", None), {"guards": [outcome("gone", "refused")]}, "refused"),
        (Standing("check", "site", None), {}, "in force"),
        (Standing("check", "site", None), {"checks": [{"name": "other"}]}, "missing"),
        (Standing("check", "old", None), {"checks": [{"name": "old"}]}, "in force"),
        (Standing("command", "pins", None), {}, "in force"),
        (Standing("command", "gone", None), {}, "missing"),
        (Standing("accepted", "Anna", date(2026, 7, 1)), {}, "accepted"),
        (Standing("handed", "Ben", date(2026, 7, 1)), {}, "handed"),
        (None, {}, "open"),
    ],
)
def test_where_a_proof_stood_is_told_by_the_change_else_by_the_configuration(
    proof: Standing | None, body: Mapping[str, Any], expected: str
) -> None:
    """What was passed then must not be told as missing, nor what was taken out since as in force."""
    action = Action("A1", "Refuse it", "Anna", None, "prevent", ("P1",), proof, 1)
    today = Today({"stays"}, {"site"}, {"pins"})
    assert standing(action, change("c1", 1, **body), today) == expected


def test_of_another_configuration_nothing_is_said() -> None:
    """The backout.toml of another project lacks the guard; that tells nothing of the one that was in force."""
    action = Action("A1", "Refuse it", "Anna", None, "prevent", ("P1",), Standing("guard", "stays", None), 1)
    assert standing(action, change("c1", 1), None) == "not known"
    assert standing(action, None, Today()) == "missing"
