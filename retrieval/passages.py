"""The passages of a corpus on disk: FlashRAG's JSON Lines in one form, and where each line begins.

Both files are memory-mapped, so that a corpus costs no memory beyond what is read. A passage's row is its place in every
index. The hash of the file is the corpus's content hash: equal passages in equal order have the same one.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import StoreError
from .extras import library
from .passage import Hit, Passage, hit_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LINES, OFFSETS = "passages.jsonl", "offsets.npy"


def write(folder: Path, passages: Iterable[Passage]) -> int:
    """Write passages into a folder. Returns how many there are."""
    np = library("numpy")
    offsets = [0]
    with (folder / LINES).open("wb") as out:
        for passage in passages:
            line = json.dumps({"id": passage.id, "contents": passage.contents}, ensure_ascii=False) + "\n"
            offsets.append(offsets[-1] + out.write(line.encode()))
    np.save(folder / OFFSETS, np.array(offsets, dtype=np.uint64))
    return len(offsets) - 1


class Passages:
    """Passages by row. Safe to read from several threads."""

    def __init__(self, folder: Path) -> None:
        """Map the files of a folder.

        Raises:
            StoreError: they cannot be read as passages.
        """
        try:
            with (folder / LINES).open("rb") as stream:
                self._lines = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            self._offsets: NDArray[np.uint64] = library("numpy").load(folder / OFFSETS, mmap_mode="r")
        except (OSError, ValueError, EOFError) as e:
            raise StoreError(f"the passages in {folder} cannot be read: {e}", code="corpus_damaged") from None

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, row: int) -> Passage:
        if not 0 <= row < len(self):
            raise IndexError(row)
        found = json.loads(self._lines[int(self._offsets[row]) : int(self._offsets[row + 1])])
        return Passage(found["id"], found["contents"])

    def __iter__(self) -> Iterator[Passage]:
        return (self[row] for row in range(len(self)))

    def hits(self, rows: Iterable[int], scores: Iterable[float], k: int, exclude: Collection[str]) -> list[Hit]:
        """The first `k` rows of a ranking as hits, without those whose id is excluded."""
        hits: list[Hit] = []
        for row, score in zip(rows, scores, strict=True):
            passage = self[row]
            if passage.id not in exclude:
                hits.append(hit_of(passage.id, passage.contents, score, len(hits) + 1))
                if len(hits) == k:
                    break
        return hits

    def close(self) -> None:
        """Let the files go; nothing can be read any more."""
        self._lines.close()
