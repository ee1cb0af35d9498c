"""Every channel that is not mail, through apprise, one target a call. Imported only to send: it takes half a second."""

from __future__ import annotations

import logging
import re
from urllib.parse import unquote

import apprise

from backout.model.notice import FAILED, SENT, UNKNOWN, Message, Result, target_name
from backout.model.redact import MASK, redact

WITHIN_S = 20.0
"""How long to wait for a connection, and for the answer."""
_REPLY_CHARS = 300
_UNANSWERED = re.compile(r"Read timed out|ReadTimeout|Connection aborted|Connection broken|without response")
"""How requests says that all was sent and no answer came; that nobody could be reached it says in other words."""
_SECRET_CHARS = 4
"""Shorter pieces of an address are no secrets, and would be masked in every other word."""


class _Heard(logging.Handler):
    """Keeps what apprise says of an attempt: it gives no other reason than its log."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.warnings: list[str] = []
        self.unanswered = False

    def emit(self, record: logging.LogRecord) -> None:
        """Take one line; its details tell whether all was sent, and are not kept: they name the whole address."""
        text = record.getMessage()
        self.unanswered = self.unanswered or bool(record.exc_info) or _UNANSWERED.search(text) is not None
        if record.levelno >= logging.WARNING:
            self.warnings.append(text)


def send(target: str, message: Message, *, within_s: float = WITHIN_S) -> Result:
    """Send to one target, an address as apprise knows them; never raises.

    FAILED means that it is not there; UNKNOWN that it was sent and no answer came. The reply is without secrets.
    """
    heard, log = _Heard(), logging.getLogger("apprise")
    before = log.level, log.propagate
    log.addHandler(heard)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    try:
        taken = _notify(target, message, within_s)
    finally:
        log.removeHandler(heard)
        log.setLevel(before[0])
        log.propagate = before[1]
    if taken is None:
        return Result(FAILED, f"{target_name(target)} is no address that apprise {apprise.__version__} can send to")
    if taken:
        return Result(SENT, "taken")
    reply = _without_secrets(target, " ".join(" ".join(heard.warnings).split())) or "it said no, and not why"
    return Result(UNKNOWN if heard.unanswered else FAILED, reply[:_REPLY_CHARS])


def _notify(target: str, message: Message, within_s: float) -> bool | None:
    """Give whether it was taken; None where nothing is known that could send there."""
    asset = apprise.AppriseAsset(async_mode=False, app_id="backout", app_desc="backout", plugin_paths=[])
    service = apprise.Apprise.instantiate(target, asset=asset)
    if service is None:
        return None
    service.socket_connect_timeout = service.socket_read_timeout = within_s
    sender = apprise.Apprise(asset=asset)
    sender.add(service)
    return bool(sender.notify(title=message.subject, body=message.plain, body_format=apprise.NotifyFormat.TEXT))


def _without_secrets(target: str, text: str) -> str:
    """Mask what looks like a secret, and every piece of the address but its host."""
    rest = target.partition("://")[2]
    shown = target_name(target)
    pieces = {piece for word in re.split(r"[/?&=:@#]", rest) for piece in (word, unquote(word))}
    for piece in sorted(pieces, key=len, reverse=True):
        if len(piece) >= _SECRET_CHARS and piece not in shown:
            text = text.replace(piece, MASK)
    return redact(text)
