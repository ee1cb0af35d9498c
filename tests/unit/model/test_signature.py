"""The same fault has one signature wherever and whenever it is met, and no two faults share one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.model.signature import folded, signature, telling

GUNICORN = """\
[2026-11-28 16:59:19 +0000] [27878] [INFO] Starting gunicorn 23.0.0
[2026-11-28 16:59:19 +0000] [27878] [INFO] Listening at: http://127.0.0.1:8998 (27878)
[2026-11-28 16:59:19 +0000] [27898] [INFO] Booting worker with pid: 27898
[2026-11-28 16:59:19 +0000] [27898] [ERROR] Exception in worker process
Traceback (most recent call last):
  File "/srv/shop/venv/lib/python3.11/site-packages/gunicorn/arbiter.py", line 752, in spawn_worker
    worker.init_process()
  File "<frozen importlib._bootstrap>", line 1204, in _gcd_import
  File "/srv/shop/app.py", line 1, in <module>
    import pkg_resources
ModuleNotFoundError: No module named 'pkg_resources'
[2026-11-28 16:59:19 +0000] [27898] [INFO] Worker exiting (pid: 27898)
[2026-11-28 16:59:20 +0000] [27878] [ERROR] Worker (pid:27898) exited with code 3.
[2026-11-28 16:59:20 +0000] [27878] [ERROR] Shutting down: Master
[2026-11-28 16:59:20 +0000] [27878] [ERROR] Reason: Worker failed to boot.
"""
CHAINED = """\
Traceback (most recent call last):
  File "/tmp/e.py", line 3, in f
    {}["a"]
    ~~^^^^^
KeyError: 'a'
a note

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/tmp/e.py", line 7, in <module>
    f()
RuntimeError: could not read
its second line
"""
SYNTAX = """\
Traceback (most recent call last):
  File "<string>", line 1, in <module>
  File "/srv/shop/settings.py", line 1
    f(
     ^
SyntaxError: '(' was never closed
"""
GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "<string>", line 1, in <module>
  | ExceptionGroup: many (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: 1
    +---------------- 2 ----------------
    | KeyError: 'x'
    +------------------------------------
"""
CURL = """\
  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current
                                 Dload  Upload   Total   Spent    Left  Speed
\r  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0
curl: (7) Failed to connect to 127.0.0.1 port 8000 after 0 ms: Couldn't connect to server
"""
NGINX = """\
2026/11/28 16:59:04 [emerg] 26949#26949: unknown directive "gzipp" in /etc/nginx/sites-enabled/shop:2
nginx: configuration file /etc/nginx/nginx.conf test failed
"""
PSQL = """\
psql: error: connection to server at "db" (10.0.0.7), port 5432 failed: Connection refused
\tIs the server running on that host and accepting TCP/IP connections?
"""
SQL = """\
ERROR:  column "price" does not exist
LINE 1: select price from orders
               ^
HINT:  Perhaps you meant to reference the column "orders.prices".
"""
SYSTEMCTL = """\
Job for nginx.service failed because the control process exited with error code.
See "systemctl status nginx.service" and "journalctl -xeu nginx.service" for details.
"""
JOURNAL = """\
Nov 28 16:59:04 web1 nginx[4711]: nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)
Nov 28 16:59:04 web1 systemd[1]: nginx.service: Control process exited, code=exited, status=1/FAILURE
Nov 28 16:59:04 web1 systemd[1]: nginx.service: Failed with result 'exit-code'.
Nov 28 16:59:04 web1 systemd[1]: Failed to start nginx.service - A high performance web server.
"""
DPKG = """\
Setting up shop (1.2) ...
dpkg: error processing package shop (--configure):
 installed shop package post-installation script subprocess returned error exit status 1
Errors were encountered while processing:
 shop
E: Sub-process /usr/bin/dpkg returned an error code (1)
"""
JAVA = """\
Exception in thread "main" java.lang.IllegalStateException: Failed to start bean 'db'
\tat J.main(J.java:1)
Caused by: java.net.ConnectException: Connection refused
\tat java.base/sun.nio.ch.Net.pollConnect(Native Method)
\t... 3 more
"""
GO = """\
panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.main()
\t/srv/shop/main.go:8 +0x1d
exit status 2
"""
NODE = """\
node:internal/modules/cjs/loader:1210
  throw err;
  ^

Error: Cannot find module 'express'
Require stack:
- /srv/shop/index.js
    at Module._resolveFilename (node:internal/modules/cjs/loader:1207:15)
    at node:internal/main/run_main_module:28:49 {
  code: 'MODULE_NOT_FOUND',
  requireStack: [ '/srv/shop/index.js' ]
}

Node.js v20.20.2
"""
RUST = """\

thread 'main' (29040) panicked at r.rs:1:40:
called `Option::unwrap()` on a `None` value
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
"""
RUBY = """\
-e:1:in `f': undefined method `foo' for nil:NilClass (NoMethodError)

def f; nil.foo; end; f
          ^^^^
\tfrom -e:1:in `<main>'
"""
PERL = """\
Can't locate Shop/Cart.pm in @INC (you may need to install the Shop::Cart module) at -e line 1.
BEGIN failed--compilation aborted at -e line 1.
"""
CERTIFICATE = """\
curl: (60) SSL certificate problem: certificate has expired
More details here: https://curl.se/docs/sslcerts.html

curl failed to verify the legitimacy of the server and therefore could not
establish a secure connection to it. To learn more about this situation and
how to fix it, please visit the web page mentioned above.
"""
ANSIBLE = """\
fatal: [web1]: FAILED! => {"changed": false, "msg": "No package matching 'shopp' is available"}

PLAY RECAP *********************************************************************
web1                       : ok=1    changed=0    unreachable=0    failed=1    skipped=0
"""
PYTEST = """\
E       AssertionError: assert 3 == 4

tests/test_cart.py:3: AssertionError
=========================== short test summary info ============================
FAILED tests/test_cart.py::test_sum - AssertionError: assert 3 == 4
1 failed in 0.12s
"""
STARTED = "The application said:\n"
ANSWERED_500 = f"""\
500 INTERNAL SERVER ERROR
<!doctype html>
<title>500 Internal Server Error</title>
{STARTED}[2026-11-28 16:59:19 +0000] [27878] [INFO] Booting worker with pid: 27898
127.0.0.1 - - [28/Nov/2026:16:59:20 +0000] "GET /health HTTP/1.1" 500 265
"""


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (GUNICORN, "ModuleNotFoundError: No module named 'pkg_resources'"),
        (CHAINED, "RuntimeError: could not read"),
        (SYNTAX, "SyntaxError: '(' was never closed"),
        (SYNTAX.partition("\n")[2].partition("\n")[2], "SyntaxError: '(' was never closed"),
        (GROUP, "ExceptionGroup: many (* sub-exceptions)"),
        (CURL, "curl: (7) Failed to connect to * port * after *: Couldn't connect to server"),
        ("curl: (22) The requested URL returned error: 502", "curl: (22) The requested URL returned error: 502"),
        (CERTIFICATE, "curl: (60) SSL certificate problem: certificate has expired"),
        (
            ANSIBLE,
            """fatal: [web1]: FAILED! => {"changed": false, "msg": "No package matching 'shopp' is available"}""",
        ),
        (PYTEST, "FAILED tests/test_cart.py::test_sum - AssertionError: assert * == *"),
        (NGINX, '[emerg] *#*: unknown directive "gzipp" in */shop:*'),
        (PSQL, 'psql: error: connection to server at "db" (*), port * failed: Connection refused'),
        (SQL, 'ERROR: column "price" does not exist'),
        (SYSTEMCTL, "Job for nginx.service failed because the control process exited with error code."),
        (JOURNAL, "nginx: [emerg] bind() to * failed (*: Address already in use)"),
        (DPKG, "installed shop package post-installation script subprocess returned error exit status 1"),
        ("Reading package lists...\nE: Unable to locate package shop\n", "E: Unable to locate package shop"),
        (JAVA, "java.net.ConnectException: Connection refused"),
        (GO, "panic: runtime error: index out of range [*] with length *"),
        (NODE, "Error: Cannot find module 'express'"),
        (RUST, "called `Option::unwrap()` on a `None` value"),
        (RUBY, "-e:*:in `f': undefined method `foo' for nil:NilClass (NoMethodError)"),
        (PERL, "Can't locate Shop/Cart.pm in @INC (you may need to install the Shop::Cart module) at -e line *."),
        (ANSWERED_500, "500 INTERNAL SERVER ERROR"),
        ("Exit code 127.\nsh: 1: gunicorn: not found", "sh: *: gunicorn: not found"),
        ("Exit code 3.", "Exit code 3."),
        ("No end within 10.0 s.", "No end within *."),
        ("the shop is closed\n\n----\n", "the shop is closed"),
    ],
    ids=lambda value: value.strip().splitlines()[0][:40],
)
def test_the_line_that_tells_what_broke_is_found(output: str, told: str) -> None:
    """A person looks for it first, too; what stands below it says that something failed, and not what."""
    assert signature("answers", output) == f"answers: {told}"


def test_an_application_that_fails_says_more_than_the_request_that_it_does_not_answer() -> None:
    """The check only sees a refused connection: every fault would look the same."""
    refused = "http://127.0.0.1:8000/health: ConnectionRefusedError: [Errno 111] Connection refused\n"
    assert signature("answers", refused + STARTED + GUNICORN) == signature("answers", GUNICORN)
    quiet = "[2026-11-28 16:59:19 +0000] [7] [INFO] Using worker: sync\n"
    assert signature("answers", refused + STARTED + quiet).endswith(
        "ConnectionRefusedError: [Errno 111] Connection refused"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("it took 12 ms", "it took 7.5 s"),
        ("at 2026-11-28 16:59:19,123 it broke", "at 2027-01-02T03:04:05Z it broke"),
        ("at Sat Nov 28 16:59:19 2026 it broke", "at Sun Dec  6 01:00:00 2026 it broke"),
        ("[28/Nov/2026:16:59:20 +0000] it broke", "[06/Dec/2026:01:00:00 +0100] it broke"),
        ("no answer of 10.0.0.7:5432", "no answer of 192.168.1.20:5433"),
        ("no answer of [fe80::1]:80", "no answer of [2001:db8::a7]:8080"),
        ("request 6f9619ff-8b86-d011-b42d-00cf4fc964ff broke", "request 00000000-0000-4000-8000-0242ac120002 broke"),
        ("<Shop object at 0x7f184f8fec00> broke", "<Shop object at 0x55d0c0ffee10> broke"),
        ("container 3f4e9a77b2c1 broke", "container 00a1b2c3d4e5 broke"),
        ("cannot open '/srv/shop/.env'", "cannot open '/home/ci/build/7/.env'"),
        ("cannot open /tmp/tmpab12_xyz/s.sock", "cannot open /tmp/tmp9q8w7e6r/s.sock"),
        ("cannot lock /tmp/tmpab12_xyz", "cannot lock /tmp/tmp9q8w7e6r"),
        ("error (pid: 4711)", "error (pid: 12)"),
        ("\x1b[31merror\x1b[0m: it broke", "error: it broke"),
        ("Nov 28 16:59:04 web1 shop[47]: error: it broke", "Dec  6 01:00:00 web2 shop[1]: error: it broke"),
        ("web_1  | error: it broke", "error: it broke"),
    ],
)
def test_what_differs_each_time_is_folded(one: str, other: str) -> None:
    """Tomorrow, on another host and in another sandbox it is the same fault."""
    assert signature("it", one) == signature("it", other)
    assert "broke" not in one or "broke" in signature("it", one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("No module named 'pkg_resources'", "No module named 'flask'"),
        ("cannot open '/srv/shop/.env'", "cannot open '/srv/shop/cert.pem'"),
        ("404 NOT FOUND", "500 INTERNAL SERVER ERROR"),
        ("curl: (22) The requested URL returned error: 502", "curl: (22) The requested URL returned error: 404"),
        ("OSError: [Errno 98] it is in use", "OSError: [Errno 13] it is in use"),
        ("expected 200, got 503", "expected 200, got 404"),
        ("ERROR 2002 (HY000): it broke", "ERROR 1045 (28000): it broke"),
        ("Exit code 1.", "Exit code 127."),
        ("shop.service: status=203/EXEC", "shop.service: status=217/USER"),
        ("libcrypt.so.1: cannot open shared object file", "libcrypt.so.2: cannot open shared object file"),
        ("KeyError: 'utf8'", "KeyError: 'utf16'"),
    ],
)
def test_what_tells_one_fault_from_another_stays(one: str, other: str) -> None:
    """Half of two packages that belong together breaks the site, too, and is not what was asked about."""
    assert signature("it", one) != signature("it", other)


def test_checks_that_say_the_same_are_told_apart_by_their_names() -> None:
    """Which check is red is the first thing to know of it."""
    assert signature("imports", "it broke") != signature("answers", "it broke")


@pytest.mark.parametrize("output", ["", "\n \n", "\x1b[0m\n"])
def test_a_check_that_says_nothing_is_its_name(output: str) -> None:
    """A silent `test -e` is a check, too."""
    assert signature("imports", output) == "imports"


@given(st.text(st.characters(codec=None), max_size=300))
def test_any_output_has_one_short_line_as_its_signature(output: str) -> None:
    """What an application prints is not ours to choose."""
    line = signature("it", output)
    assert len(line.splitlines()) == 1
    assert len(line) <= 404
    assert telling(output) in output or "\x1b" in output


@given(st.from_regex(re.compile(r"(?:[a-zA-Z/.:'\[\]() -]|\d|0x|tmp|\* |/srv/)+", re.ASCII), fullmatch=True))
def test_what_is_folded_stays_as_it_is(line: str) -> None:
    """A signature that is pasted into a search finds itself."""
    assert folded(folded(line)) == folded(line)
