"""A steady trickle of requests, and a record of how each was answered."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from backout.drill.samples import Sample, Seen
from backout.errors import FailedError

EVERY_S = 0.05
GIVE_UP_S = 2.0
PATH = "/health"


class Load:
    """Requests to one port of this machine, twenty a second, each on a connection of its own.

    They are sent on time whether or not earlier ones were answered: a site that hangs must not slow the counting down.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._samples: list[Sample] = []
        self._events: list[tuple[float, str]] = []
        self._over = threading.Event()
        self._begin_s = time.monotonic()
        self._thread = threading.Thread(target=self._trickle, name="drill requests")

    def __enter__(self) -> Self:
        """Begin to send requests."""
        self._begin_s = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, when the last request has been answered or given up."""
        self._over.set()
        self._thread.join()

    def note(self, event: str) -> None:
        """Remember what happened just now."""
        self._events.append((time.monotonic() - self._begin_s, event))

    def seen(self) -> Seen:
        """Give what has been seen up to now."""
        return Seen(tuple(sorted(self._samples)), tuple(self._events))

    def until_answers(self, count: int, within_s: float) -> None:
        """Wait until the last `count` requests were answered well; a FailedError when that takes longer."""
        self._until(lambda last: all(sample.ok for sample in last), count, within_s, "did not answer again")

    def until_fails(self, count: int, within_s: float) -> bool:
        """Wait until the last `count` requests failed; False when that has not happened after `within_s`."""
        try:
            self._until(lambda last: not any(sample.ok for sample in last), count, within_s, "kept answering")
        except FailedError:
            return False
        return True

    def _until(self, holds: Callable[[list[Sample]], bool], count: int, within_s: float, otherwise: str) -> None:
        # Only what is seen from now on counts; a request is seen when it is over.
        already = len(self._samples)
        give_up_at = time.monotonic() + within_s
        while time.monotonic() < give_up_at:
            last = self._samples[already:][-count:]
            if len(last) == count and holds(last):
                return
            time.sleep(EVERY_S)
        raise FailedError(f"The shop on port {self._port} {otherwise} within {within_s:.0f} seconds.")

    def _trickle(self) -> None:
        with ThreadPoolExecutor(max_workers=int(2 * GIVE_UP_S / EVERY_S)) as pool:
            due_s = 0.0
            while not self._over.wait(max(0.0, self._begin_s + due_s - time.monotonic())):
                pool.submit(self._ask)
                due_s += EVERY_S

    def _ask(self) -> None:
        begun = time.monotonic()
        ok = answers(self._port)
        self._samples.append(Sample(begun - self._begin_s, ok, time.monotonic() - begun))


def answers(port: int) -> bool:
    """Ask once, and tell whether there was an answer."""
    return ask(port) is not None


def ask(port: int) -> bytes | None:
    """Ask once, on a new connection; None for anything but a 2xx or 3xx answer within two seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=GIVE_UP_S)
    try:
        connection.request("GET", PATH)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        return None
    else:
        return body if 200 <= response.status < 400 else None  # noqa: PLR2004 - RFC 9110, section 15
    finally:
        connection.close()
