"""Facts that are told once and not kept: in memory, and where they are many in a file without a name."""

from __future__ import annotations

import marshal
import tempfile
import weakref
from collections.abc import Iterable, Iterator

from backout.model.fact import Fact, from_rows

_IN_MEMORY_BYTES = 4 << 20
_SIZE_BYTES = 8


class Spool:
    """Takes facts as they come, and gives them in the order in which they came, as often as is wanted."""

    def __init__(self) -> None:
        """Be empty."""
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - as long as the facts are told
        weakref.finalize(self, self._file.close)

    def take(self, facts: Iterable[Fact]) -> None:
        """Put some more behind the others."""
        rows = marshal.dumps([tuple(fact) for fact in facts])  # the quickest there is, for no longer than this process
        self._file.write(len(rows).to_bytes(_SIZE_BYTES, "big") + rows)

    def __iter__(self) -> Iterator[Fact]:
        """Walk all facts."""
        self._file.seek(0)
        while size := self._file.read(_SIZE_BYTES):
            yield from from_rows(marshal.loads(self._file.read(int.from_bytes(size, "big"))))  # noqa: S302 - ours
