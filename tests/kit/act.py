"""One transaction in a process of its own, so that a fault can meet it.

`python act.py apply|undo|back_out|recover STATE [CHANGE]`. An error that backout knows is told on standard output, as
its document.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path

from backout.errors import BackoutError
from backout.host.ledger import Ledger
from backout.host.takeback import Wish, take_back
from backout.host.transact import Order, Transactions


def main() -> None:
    """Do what the arguments say, under the host's lock."""
    ledger = Ledger(sys.argv[2].encode())
    order = pickle.loads((Path(sys.argv[2]) / "order.pickle").read_bytes())
    ledger.lock()  # all calls from here on are those of the act
    act(sys.argv[1], order, ledger)
    ledger.unlock()


def act(verb: str, order: Order, ledger: Ledger) -> None:
    """Carry out one act."""
    transactions = Transactions(ledger, lambda _: "")
    if verb == "apply":
        transactions.apply(order, {}, {})
        transactions.keep(order.change, {})
    elif verb == "undo":
        change = next(known for known in transactions.changes() if known.id == sys.argv[3])
        take_back(transactions, ledger, Wish(change, "undo", {}))
        transactions.keep("undo", {})
    elif verb == "back_out":
        transactions.back_out(next(known for known in transactions.changes() if known.id == sys.argv[3]))
    else:
        list(transactions.recover(lambda _: True))


try:
    main()
except BackoutError as error:
    os.writev(1, [json.dumps(error.document()).encode()])  # a call that no fault is injected into
    sys.exit(error.exit_code)
