"""Other channels, to a real receiver of webhooks."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from backout.model.notice import Message
from backout.notify.other import send
from kit.mailserver import Hook, free_port, hook

MESSAGE = Message("<n1@shop.example>", "[investigating] production: the shop is down", "We see: a café\n", "<p>")
SECRET = "hunter2-hunter2"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of modules that apprise imports


@pytest.fixture
def receiver() -> Iterator[Hook]:
    """A receiver that takes everything."""
    with hook() as running:
        yield running


def test_a_webhook_gets_the_subject_and_the_text(receiver: Hook) -> None:
    """The same words as by mail."""
    assert send(f"json://{receiver.address}/{SECRET}", MESSAGE) == ("sent", "taken")
    (told,) = receiver.posts
    assert (told["title"], told["message"].strip()) == (MESSAGE.subject, MESSAGE.plain.strip())


def test_a_webhook_that_says_no_failed_and_the_reason_holds_no_secret(receiver: Hook) -> None:
    """The address is the secret of most channels; its error messages like to repeat it."""
    receiver.status = 503
    result = send(f"json://ops:{SECRET}@{receiver.address}/{SECRET}?token={SECRET}", MESSAGE)
    assert (result.state, "503" in result.reply, SECRET in str(result)) == ("failed", True, False)
    gone = send(f"json://ops:{SECRET}@127.0.0.1:{free_port()}/{SECRET}", MESSAGE)
    assert (gone.state, SECRET in gone.reply) == ("failed", False)


def test_a_webhook_that_takes_it_and_does_not_answer_leaves_it_unknown(receiver: Hook) -> None:
    """It has the message: to say that it failed would send it twice."""
    over = threading.Event()
    receiver.before = over.wait
    result = send(f"json://{receiver.address}/", MESSAGE, within_s=1.0)
    over.set()
    assert (result.state, len(receiver.posts)) == ("unknown", 1)


def test_an_address_of_no_channel_failed() -> None:
    """It is told like everything else that went wrong: the other targets still have to hear of it."""
    result = send(f"carrier-pigeon://{SECRET}/loft", MESSAGE)
    assert (result.state, SECRET in result.reply, "apprise" in result.reply) == ("failed", False, True)
