"""Mail: one recipient a message, over SMTP (RFC 5321); the server's own words are the result."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import smtplib
import socket
import ssl
from collections.abc import Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr

from backout.model.mail import Mail
from backout.model.notice import FAILED, SENT, UNKNOWN, Message, Result
from backout.model.redact import MASK

WITHIN_S = 20.0
"""How long to wait for a connection, and for each answer of the server."""
_GO_AHEAD, _ACCEPTED = 354, 250
_REPLY_CHARS = 300
_ADDRESS = re.compile(r"([\w.!#$%&'*+/=?^`{|}~-]+)@([A-Za-z0-9.-]*[A-Za-z0-9])", re.ASCII)
_PORTS = {"starttls": 25, "tls": 465, "none": 25}
_NAME_IT = "; where it is yours, name it, or who signed it, in ca_file of [mail]"
_OTHER_NAME = "; server of [mail] must be a name that stands in it"
_WAYS_ON = {**dict.fromkeys((18, 19, 20, 21), _NAME_IT), **dict.fromkeys((62, 64), _OTHER_NAME)}
"""How to go on with a certificate that is not trusted, by OpenSSL's number of why (verify(1), "Diagnostics")."""
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
"""OpenSSL: what came was no TLS; since 3.2 it says the latter, too."""
_POLICY = SMTP.clone(cte_type="7bit")  # no server has to be asked whether it takes more


class _RefusedError(Exception):
    """The mail was not handed over; why is the text."""


def send(
    server: Mail,
    target: str,
    message: Message,
    *,
    within_s: float = WITHIN_S,
    environ: Mapping[str, str] = os.environ,
) -> Result:
    """Send to one address, given as `mailto:ADDRESS`; never raises.

    FAILED means that the server does not have it; UNKNOWN that all of it was sent and no answer came.
    """
    secret = ""
    try:
        to = _address(target.partition(":")[2].partition("?")[0].strip())  # RFC 6068
        secret = _password(server, environ)
        with contextlib.closing(_open(server, within_s)) as smtp:
            _prepare(smtp, server, secret)
            return _hand_over(smtp, _sender(server), to, message)
    except (_RefusedError, smtplib.SMTPException, OSError, UnicodeError, ValueError) as error:
        words = _words_of(error)
        return Result(FAILED, words.replace(secret, MASK) if secret else words)


def _sender(server: Mail) -> Address:
    """Give who the mail is from: what the configuration says, else whoever runs this, at this machine."""
    if server.sender:
        name, address = parseaddr(server.sender)
        return _address(address, name)
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    return _address(f"{user}@{socket.gethostname()}")


def _address(text: str, name: str = "") -> Address:
    """Take a plain address; of others the standard library makes errors of any kind, and few mail servers take them."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise _RefusedError(f"no mail can be sent to or from the address {text!r}")
    return Address(name, match[1], match[2])


def _password(server: Mail, environ: Mapping[str, str]) -> str:
    if not server.user:
        return ""
    if server.password_env:
        if server.password_env not in environ:
            raise _RefusedError(f"the variable {server.password_env}, which has the password, is not set")
        return environ[server.password_env]
    if not server.password_file:
        raise _RefusedError('[mail] has a "user" and neither "password_file" nor "password_env"')
    try:
        with open(server.password_file, encoding="utf-8") as file:
            return file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise _RefusedError(f"the password in {server.password_file} cannot be read: {why}") from None


def _open(server: Mail, within_s: float) -> smtplib.SMTP:
    """Reach the server, named by the sender's domain: our own full name would be asked of a DNS that may be down."""
    host, port = _place(server)
    domain = _sender(server).domain
    if server.tls == "tls":
        return smtplib.SMTP_SSL(host, port, local_hostname=domain, timeout=within_s, context=_trusted(server))
    try:
        return smtplib.SMTP(host, port, local_hostname=domain, timeout=within_s)
    except (TimeoutError, smtplib.SMTPServerDisconnected):
        if port == _PORTS["tls"]:
            raise _RefusedError(f'it does not greet; port {port} takes TLS from the first byte: tls = "tls"') from None
        raise


def _trusted(server: Mail) -> ssl.SSLContext:
    """Trust whom the system trusts (or SSL_CERT_FILE names), and whom the configuration names besides."""
    context = ssl.create_default_context()
    if server.ca_file:
        try:
            context.load_verify_locations(server.ca_file)
        except OSError as error:
            why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise _RefusedError(f"the certificates in {server.ca_file} cannot be read: {why}") from None
    return context


def _place(server: Mail) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[^\]]+\]|[^:]+)(?::(\d{1,5}))?", server.server)
    if match is None:
        raise _RefusedError(f"[mail] server is no HOST:PORT: {server.server}")
    return match[1].strip("[]"), int(match[2] or _PORTS[server.tls])


def _prepare(smtp: smtplib.SMTP, server: Mail, secret: str) -> None:
    """Encrypt where that is offered, and log in; a password goes to no other machine in clear, unless `tls` is none.

    What stays on this machine is not encrypted: its own mail server seldom has a certificate that anybody vouches for.
    """
    smtp.ehlo_or_helo_if_needed()
    host, _ = _place(server)
    is_here = host == "localhost" or host.startswith("127.") or host == "::1"
    if server.tls == "starttls" and not is_here:
        if smtp.has_extn("starttls"):
            smtp.starttls(context=_trusted(server))
            smtp.ehlo()
        elif server.user:
            raise _RefusedError("the server offers no encryption (STARTTLS); the password was not sent")
    if server.user:
        smtp.login(server.user, secret)


def _hand_over(smtp: smtplib.SMTP, sender: Address, to: Address, message: Message) -> Result:
    """Give the mail to the server, and hear what it says to each part."""
    data = re.sub(rb"(?m)^\.", b"..", _mail(sender, to, message).as_bytes()) + b".\r\n"  # RFC 5321, 4.5.2
    _expect(smtp.mail(sender.addr_spec), _ACCEPTED)
    _expect(smtp.rcpt(to.addr_spec), _ACCEPTED, 251)
    _expect(smtp.docmd("DATA"), _GO_AHEAD)
    smtp.send(data)  # where this fails, the end of the mail was not sent: the server must not take it
    try:
        answer = smtp.getreply()
    except (smtplib.SMTPServerDisconnected, OSError) as error:
        words = f"all of the mail was sent, and the server did not answer: {_words_of(error)}"
        return Result(UNKNOWN, words)
    with contextlib.suppress(OSError, smtplib.SMTPException):
        smtp.putcmd("QUIT")  # and no longer waited for: what is known is to be recorded
    smtp.close()
    return Result(SENT if answer[0] == _ACCEPTED else FAILED, _said(*answer))


def _expect(answer: tuple[int, bytes], *wanted: int) -> None:
    if answer[0] not in wanted:
        raise _RefusedError(_said(*answer))


def _mail(sender: Address, to: Address, message: Message) -> EmailMessage:
    """Write the mail; Auto-Submitted keeps out-of-office answers away (RFC 3834, 5)."""
    mail = EmailMessage(_POLICY)
    for name, value in (
        ("From", sender),
        ("To", to),
        ("Subject", message.subject),
        ("Date", formatdate()),
        ("Message-ID", message.id),
        ("Auto-Submitted", "auto-generated"),
    ):
        mail[name] = value
    mail.set_content(message.plain)
    mail.add_alternative(message.html, subtype="html")
    return mail


def _said(code: int, words: bytes) -> str:
    return f"{code} {' '.join(words.decode('utf-8', 'replace').split())}"[:_REPLY_CHARS]


def _words_of(error: Exception) -> str:
    """Give the server's own words where it said some, else what went wrong on the way."""
    if isinstance(error, smtplib.SMTPResponseException):
        words = error.smtp_error
        return _said(error.smtp_code, words if isinstance(words, bytes) else words.encode())
    if isinstance(error, UnicodeError):
        return "the mail server takes ASCII alone"
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return _words_of_tls(error)
    if isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:_REPLY_CHARS]


def _words_of_tls(error: ssl.SSLError) -> str:
    """Say why nothing was encrypted, and how to go on."""
    if isinstance(error, ssl.SSLCertVerificationError):
        way_on = _WAYS_ON.get(error.verify_code, "")
        return f"its certificate is not trusted: {error.verify_message.rstrip('.')}{way_on}"
    if error.reason in _NOT_TLS:
        return 'it does not speak TLS from the first byte: is that its port, or is tls = "starttls" of [mail] meant?'
    return str(error.strerror)
