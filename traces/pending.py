"""What a transaction has taken so far: rows, texts, numbers, all of which can be taken back.

The facts of each run are numbered, what is recorded already is left out, and a transaction that fails leaves no trace: numbers
have no gaps, and nothing counts as stored that is not.
"""

from __future__ import annotations

import time
from itertools import islice
from typing import Any

from .codec import Compressor, blob_key, text_bytes
from .run_state import RunState

_REMEMBERED = 50_000

Row = tuple[Any, ...]


class Pending:
    """Rows and texts of one transaction after another. For use by one thread."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Row]] = []
        """Statement and parameters, in the order of the records."""
        self.blobs: dict[str, bytes] = {}
        """Blobs of this transaction that may not be stored yet, by their keys."""
        self._stored: dict[str, None] = {}
        self._undo: list[tuple[RunState, str | None, int | None]] = []
        self._newest = "", ""
        self._compressor = Compressor()

    def blob(self, data: bytes) -> str:
        """The key of a blob, which is stored with this transaction unless it is already."""
        sha = blob_key(data)
        if sha not in self._stored:
            self.blobs[sha] = data
        return sha

    def text(self, text: str) -> str | None:
        """The key of a text; None for an empty one. A candidate's text follows its call's, and mostly is the same."""
        if not text:
            return None
        if text is not self._newest[0]:
            self._newest = text, self.blob(text_bytes(text))
        return self._newest[1]

    def blob_rows(self) -> list[Row]:
        """The rows of this transaction's blobs."""
        now, packed = time.time_ns(), self._compressor.pack(list(self.blobs.values()))
        return [(sha, codec, size, data, now) for sha, (codec, size, data) in zip(self.blobs, packed, strict=True)]

    def committed(self) -> None:
        """The transaction is durable."""
        self._stored.update(dict.fromkeys(self.blobs))
        if len(self._stored) > _REMEMBERED:
            for sha in list(islice(self._stored, _REMEMBERED // 2)):
                del self._stored[sha]
        self._clear()

    def rolled_back(self) -> None:
        """The transaction came to nothing."""
        self._take_back(0)
        self._clear()

    def disconnected(self) -> None:
        """Another connection writes from here on: texts may have been removed meanwhile, so none counts as stored."""
        self._stored.clear()

    def _new(self, state: RunState, key: str) -> int | None:
        """The number of a new fact, or None if it is recorded already."""
        if key in state.known:
            return None
        self._undo.append((state, key, None))
        state.known[key] = 1
        state.seq += 1
        return state.seq

    def _mark(self, state: RunState, key: str, times: int) -> None:
        self._undo.append((state, key, state.known.get(key)))
        state.known[key] = times

    def _take_back(self, down_to: int) -> None:
        while len(self._undo) > down_to:
            state, key, old = self._undo.pop()
            if key is None:
                state.seq = old or 0
            elif old is None:
                del state.known[key]
            else:
                state.known[key] = old

    def _clear(self) -> None:
        self.rows.clear()
        self.blobs.clear()
        self._newest = "", ""
        self._undo.clear()
