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


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificate of a private authority, and one of a server that it signed, each with its key."""
    folder = tmp_path_factory.mktemp("ca")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,IP:0.0.0.0")
    new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=mail"
    sign = "openssl x509 -req -in request -CA ca.pem -CAkey ca.key -extfile names -days 1 -out cert -CAcreateserial"
    for line in (f"{new} -keyout ca.key -x509 -days 1 -out ca.pem", f"{new} -keyout key -out request", sign):
        subprocess.run(line.split(), cwd=folder, check=True, capture_output=True)
    return folder


def presenting(folder: Path) -> ssl.SSLContext:
    """Give what a server needs to speak TLS with the signed certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_mail_is_encrypted_and_goes_to_no_server_whose_certificate_is_not_trusted(
    ca: Path, monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:
    """On the way to another machine (as which 0.0.0.0 counts here) anybody may listen, or answer in its place."""
    context = presenting(ca)
    settings = {"ssl_context": context} if tls == "tls" else {"tls_context": context, "require_starttls": True}
    with post(**settings) as running:
        there = to(running, tls=tls)._replace(server=running.address.replace("127.0.0.1", "0.0.0.0"))
        refused = send(there, TO, MESSAGE)
        named = "its certificate is not trusted: unable to get local issuer certificate; where it is yours, name it, or"
        assert (refused.state, refused.reply.startswith(named), running.mails) == ("failed", True, [])
        assert send(there._replace(ca_file=str(ca / "ca.pem")), TO, MESSAGE).state == "sent"
        monkeypatch.setenv("SSL_CERT_FILE", str(ca / "ca.pem"))
        assert send(there, TO, MESSAGE).state == "sent"
        other = there._replace(server=there.server.replace("0.0.0.0", "localhost"))
        if tls == "tls":  # on this machine starttls is not used
            assert "server of [mail] must be a name that stands in it" in send(other, TO, MESSAGE).reply
        assert len(running.mails) == 2


def test_a_password_that_is_refused_over_tls_is_told_in_the_server_s_words(ca: Path) -> None:
    """Nothing of it is in the answer, and the mail was not handed over."""
    settings = {"authenticator": lambda *_: AuthResult(success=False, handled=False), "auth_require_tls": False}
    with post(ssl_context=presenting(ca), **settings) as running:
        there = to(running, tls="tls", ca_file=str(ca / "ca.pem"), user="ops", password_env="PW")
        refused = send(there, TO, MESSAGE, environ={"PW": "hunter2-hunter2"})
        assert refused == ("failed", "535 5.7.8 Authentication credentials invalid")
        assert running.mails == []


def test_the_wrong_way_to_begin_with_tls_is_named(ca: Path, server: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ports are in use everywhere, and to each belongs the other word."""
    assert 'tls = "starttls" of [mail] meant?' in send(to(server, tls="tls"), TO, MESSAGE).reply
    with post(ssl_context=presenting(ca)) as running:
        monkeypatch.setitem(send.__globals__["_PORTS"], "tls", int(running.address.partition(":")[2]))
        assert 'takes TLS from the first byte: tls = "tls"' in send(to(running), TO, MESSAGE, within_s=0.3).reply


def test_certificates_that_cannot_be_read_are_named(server: Post, tmp_path: Path) -> None:
    """A file that is moved is found out here, and not by a mail that nobody got."""
    there = to(server, tls="tls", ca_file=str(tmp_path / "ca.pem"))
    assert send(there, TO, MESSAGE).reply.endswith("ca.pem cannot be read: No such file or directory")
    (tmp_path / "ca.pem").write_text("none\n")
    assert send(there, TO, MESSAGE).reply.endswith("ca.pem cannot be read: it holds no certificate")


def test_a_password_goes_to_no_other_machine_in_clear(server: Post) -> None:
    """A server that offers no encryption may be one that somebody put in between."""
    there = to(server, user="ops", password_env="PW")._replace(server=server.address.replace("127.0.0.1", "0.0.0.0"))
    result = send(there, TO, MESSAGE, environ={"PW": "hunter2-hunter2"})
    assert (result.state, "STARTTLS" in result.reply) == ("failed", True)
