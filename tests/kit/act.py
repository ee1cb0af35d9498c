"""One transaction in a process of its own, so that it can be killed.

`python act.py apply|undo|recover STATE [CHANGE]`.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from backout.host.ledger import Ledger
from backout.host.takeback import Wish, take_back
from backout.host.transact import Transactions


def main() -> None:
    """Do what the arguments say."""
    verb, state = sys.argv[1], Path(sys.argv[2])
    ledger = Ledger(str(state).encode())
    transactions = Transactions(ledger, lambda _: "")
    if verb == "apply":
        order = pickle.loads((state / "order.pickle").read_bytes())
        transactions.apply(order, {}, {})
        transactions.keep(order.change, {})
    elif verb == "undo":
        change = next(known for known in transactions.changes() if known.id == sys.argv[3])
        take_back(transactions, ledger, Wish(change, "undo", {}))
        transactions.keep("undo", {})
    else:
        list(transactions.recover(lambda _: True))


main()
