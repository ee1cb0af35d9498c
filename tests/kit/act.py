"""Acts in processes of their own, so that a fault can meet one: each is forked from here, where all is imported.

A line of standard input is one: [STATE, STRACE, VERB, NAME...] as JSON, with what to tell strace, if it shall watch,
and apply, undo, back_out or recover as verb. Its exit code is answered. What it says is left in the state folder: in
`told` the document of an error that backout knows, all else in `said`.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from backout.errors import BackoutError
from backout.host.ledger import Ledger
from backout.host.takeback import Wish, take_back
from backout.host.transact import Order, Transactions

LONGEST_S = 60


def main() -> None:
    """Run one act after the other."""
    for line in sys.stdin:
        state, strace, *verb = json.loads(line)
        order = pickle.loads((Path(state) / "order.pickle").read_bytes())
        wait, go = os.pipe()
        with open(f"{state}/told", "wb") as told, open(f"{state}/said", "wb") as said:
            child = os.fork()
            if child == 0:
                os.dup2(told.fileno(), 1)
                os.dup2(said.fileno(), 2)
                os.read(wait, 1)
                _be(Ledger(os.fsencode(state)), order, *verb)
        with _watched(child, strace):
            os.write(go, b"\n")
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(wait)
        os.close(go)
        print(code, flush=True)  # noqa: T201 - the answer


@contextmanager
def _watched(pid: int, strace: list[str]) -> Iterator[None]:
    """Let strace, if it is told anything, see every call of a process from here on, until that ends."""
    if not strace:
        yield
        return
    command = ["strace", "-f", *strace, "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        assert "attached" in said, said
        yield


def _be(ledger: Ledger, order: Order, *verb: str) -> NoReturn:
    """Carry out an act under the host's lock: all calls from here on are its own."""
    code = 1
    try:
        signal.alarm(LONGEST_S)
        ledger.lock()
        act(ledger, order, *verb)
        ledger.unlock()
        code = 0
    except BackoutError as error:
        os.writev(1, [json.dumps(error.document()).encode()])  # a call that no fault is injected into
        code = error.exit_code
    except BaseException:  # noqa: BLE001 - it must not return to where it was forked
        traceback.print_exc()
    finally:
        os._exit(code)


def act(ledger: Ledger, order: Order, verb: str, name: str = "", new: str = "undo") -> None:
    """Carry out one act; an apply may be given another name."""
    transactions = Transactions(ledger, lambda _: "")
    if verb == "apply":
        order = order._replace(change=name, barrier_ns=0) if name else order
        transactions.apply(order, {}, {})
        transactions.keep(order.change, {})
    elif verb == "undo":
        change = next(known for known in transactions.changes() if known.id == name)
        take_back(transactions, ledger, Wish(change, new, {}))
        transactions.keep(new, {})
    elif verb == "back_out":
        transactions.back_out(next(known for known in transactions.changes() if known.id == name))
    else:
        list(transactions.recover(lambda _: True))


if __name__ == "__main__":
    main()
