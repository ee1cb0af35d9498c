"""The drill's mail server takes what a client of the standard library sends."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage

from backout.drill.mailbox import Mail, Mailbox


def test_a_mail_is_read_as_it_was_written() -> None:
    """Also a line that begins with a dot, and letters beyond ASCII."""
    message = EmailMessage()
    message["Subject"] = "[resolved] Läuft"
    message.set_content("One\n.two\nDrei ä\n")
    message.add_alternative("<p>One</p>", subtype="html")
    with Mailbox() as mailbox:
        with smtplib.SMTP("127.0.0.1", mailbox.port, timeout=30) as server:
            server.send_message(message, "a@drill.example", ["b@client.example"])
        assert mailbox.mails == [Mail("b@client.example", "[resolved] Läuft", "One\n.two\nDrei ä\n")]
