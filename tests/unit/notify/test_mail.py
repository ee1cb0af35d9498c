"""Mail to a real SMTP server: what it says is what we know."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from hypothesis import given
from hypothesis import strategies as st

from backout.model.mail import Mail
from backout.model.notice import Message
from backout.notify.mail import send
from kit.mailserver import Post, free_port, post

MESSAGE = Message(
    "<n1.abc@shop.example>", "[investigating] production: the shop is down …", ".\nWe see: a café\n", "<p>é"
)
TO = "mailto:ops@client.example"


@pytest.fixture
def server() -> Iterator[Post]:
    """A server that takes everything."""
    with post() as running:
        yield running


def to(running: Post, **more: Any) -> Mail:
    """Name the server as a configuration would."""
    return Mail(running.address, "Shop <ops@shop.example>", **more)


def test_a_mail_arrives_as_it_was_recorded(server: Post) -> None:
    """The Message-ID is ours, so that a delivery nobody knows about can be looked for in the server's log."""
    assert send(to(server), TO, MESSAGE) == ("sent", "250 queued as 4711")
    ((recipient, mail),) = server.mails
    assert recipient == "ops@client.example"
    assert (mail["Message-ID"], mail["Subject"]) == (MESSAGE.id, MESSAGE.subject)
    assert (mail["Auto-Submitted"], mail["From"]) == ("auto-generated", "Shop <ops@shop.example>")
    assert mail["Date"].datetime is not None
    plain, html = mail.iter_parts()
    assert plain.get_content().replace("\r\n", "\n") == MESSAGE.plain
    assert html.get_content().strip() == MESSAGE.html


def test_of_two_recipients_the_one_that_is_refused_is_the_one_that_failed(server: Post) -> None:
    """One recipient a mail: half a mail that arrived would be neither sent nor failed."""
    server.refuses = {"gone@client.example"}
    refused, taken = (send(to(server), target, MESSAGE) for target in ("mailto:gone@client.example", TO))
    assert refused == ("failed", "550 5.1.1 no such user here")
    assert taken.state == "sent"
    assert [recipient for recipient, _ in server.mails] == ["ops@client.example"]


def test_the_server_s_no_to_the_whole_mail_is_told_in_its_own_words(server: Post) -> None:
    """Who has to mend it searches for these words."""
    server.answer = "554 5.7.1 looks like spam"
    assert send(to(server), TO, MESSAGE) == ("failed", "554 5.7.1 looks like spam")


def test_a_connection_that_is_lost_before_the_answer_leaves_it_unknown(server: Post) -> None:
    """The server has it here: to say that it failed would send it twice."""
    server.drops = True
    result = send(to(server), TO, MESSAGE)
    assert (result.state, len(server.mails)) == ("unknown", 1)


def test_a_server_that_takes_the_mail_and_says_nothing_leaves_it_unknown(server: Post) -> None:
    """It may answer in a minute; nobody waits that long with a client on the phone."""
    server.hangs = threading.Event()
    assert send(to(server), TO, MESSAGE, within_s=1.0).state == "unknown"


def test_a_server_that_says_nothing_at_all_fails_in_time() -> None:
    """Nothing was sent to it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = send(Mail(f"127.0.0.1:{silent.getsockname()[1]}", "a@b.example"), TO, MESSAGE, within_s=0.2)
    assert result == ("failed", "no answer in time")


def test_a_server_that_is_not_there_fails() -> None:
    """In words, never by an error that ends the command before the other targets are told."""
    assert send(Mail(f"127.0.0.1:{free_port()}", "a@b.example"), TO, MESSAGE) == ("failed", "Connection refused")
    assert send(Mail("no port:x", "a@b.example"), TO, MESSAGE).state == "failed"
    assert send(Mail(f"127.0.0.1:{free_port()}", "a@b.example"), "mailto:ü@b.example", MESSAGE).state == "failed"


@given(st.text("ab@.,;:<>()[]\"\\ '=?%\u00e9\n", max_size=8))
def test_an_address_that_is_none_is_refused_in_words_whatever_it_is(text: str) -> None:
    """The standard library's own parser raises errors of any kind, and the other targets still have to hear of it."""
    result = send(Mail("127.0.0.1:1", "a@b.example"), f"mailto:{text}", MESSAGE, within_s=0.2)
    assert result.state == "failed"
    assert send(Mail("127.0.0.1:1", text or "@"), TO, MESSAGE, within_s=0.2).state == "failed"


def test_the_password_is_read_when_it_is_needed_and_is_in_no_answer(tmp_path: Path) -> None:
    """What is recorded is read by many, and for years."""
    secret, seen = "hunter2-hunter2", list[object]()

    def login(*asked: object) -> AuthResult:
        data = asked[-1]
        assert isinstance(data, LoginPassword)
        seen.append(data.password)
        return AuthResult(success=data.password == secret.encode(), handled=False)

    file = tmp_path / "password"
    file.write_text(f"{secret}\n")
    settings = {"authenticator": login, "auth_require_tls": False}
    with post(**settings) as running:
        named = to(running, user="ops", password_file=str(file), tls="none")
        assert send(named, TO, MESSAGE).state == "sent"
        wrong = to(running, user="ops", password_env="PW", tls="none")
        refused = send(wrong, TO, MESSAGE, environ={"PW": "wrong-wrong"})
        assert (refused.state, "535" in refused.reply, "wrong-wrong" in refused.reply) == ("failed", True, False)
        assert "PW" in send(wrong, TO, MESSAGE, environ={}).reply
    assert secret.encode() in seen
    file.unlink()
    assert str(file) in send(named, TO, MESSAGE).reply


def test_a_mail_is_encrypted_where_that_is_offered_and_goes_to_no_server_whose_certificate_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the way to another machine (as which 0.0.0.0 counts here) anybody may listen, or answer in its place."""
    cert, key = tmp_path / "cert", tmp_path / "key"
    words = f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {cert} -days 1 -subj /CN=mail"
    subprocess.run([*words.split(), "-addext", "subjectAltName=IP:0.0.0.0"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with post(tls_context=context, require_starttls=True) as running:
        there = to(running)._replace(server=running.address.replace("127.0.0.1", "0.0.0.0"))
        refused = send(there, TO, MESSAGE)
        assert (refused.state, "not trusted" in refused.reply, running.mails) == ("failed", True, [])
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        assert send(there, TO, MESSAGE).state == "sent"


def test_a_password_goes_to_no_other_machine_in_clear(server: Post) -> None:
    """A server that offers no encryption may be one that somebody put in between."""
    there = to(server, user="ops", password_env="PW")._replace(server=server.address.replace("127.0.0.1", "0.0.0.0"))
    result = send(there, TO, MESSAGE, environ={"PW": "hunter2-hunter2"})
    assert (result.state, "STARTTLS" in result.reply) == ("failed", True)
