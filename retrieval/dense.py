"""Dense retrieval: cosine between vectors, by usearch, the vectors memory-mapped at half precision.

Up to `EXACT_MOST` passages every vector is compared, which takes some milliseconds and misses nothing. Above, the graph that
stands in the same file is walked, which takes less than one and misses a few in a thousand.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.ids import Json
from .corpus import Corpus, about_of
from .extras import library
from .passage import Hit
from .retriever import check_k, prepared

if TYPE_CHECKING:
    from .embedder import Embedder

EXACT_MOST = 100_000
"""Most passages of which every one is compared."""
_FILE = "vectors.usearch"
_BLOCK = 256
"""Passages that are embedded together; progress is told after each block."""
_FORM: Mapping[str, Json] = {"metric": "cosine", "precision": "f16"}


class Dense:
    """Nearest neighbours among the vectors of a corpus's passages."""

    def __init__(self, corpus: Corpus, embedder: Embedder | None = None) -> None:
        """Map the corpus's dense index. None takes the embedder that the index names.

        Raises:
            ConfigError: there is no such index or embedder, or a library is not installed.
            StoreError: the index is damaged, or made by another embedder.
        """
        corpus.index("dense", {})  # Without an index no embedder is looked for.
        if embedder is None:
            from .sentence_model import named_embedder

            embedder = named_embedder(str(about_of(corpus.folder / "dense").get("model", "")))
        self._rules = rules(embedder)
        folder = corpus.index("dense", self._rules)
        self._corpus, self._embedder = corpus, embedder
        self._index = _mapped(corpus, folder)
        self._passages = corpus.passages()
        self._lock = threading.Lock()  # usearch numbers its own threads: two searches at once would share their scratch.

    @property
    def identity(self) -> Mapping[str, Json]:
        return {"kind": "dense", "content": self._corpus.content, **self._rules}

    async def search(self, queries: Sequence[str], k: int, exclude: Collection[str] = ()) -> list[list[Hit]]:
        check_k(k)
        return await asyncio.to_thread(self._search, [prepared(q) for q in queries], k, frozenset(exclude))

    async def close(self) -> None:
        self._index.reset()
        self._passages.close()

    def _search(self, queries: Sequence[str], k: int, exclude: frozenset[str]) -> list[list[Hit]]:
        asked = [i for i, query in enumerate(queries) if query]
        found: list[list[Hit]] = [[] for _ in queries]
        if not asked:
            return found
        vectors = self._embedder.embed([queries[i] for i in asked], query=True).vectors
        size = len(self._passages)
        with self._lock:
            matches = self._index.search(vectors, min(k + len(exclude), size), exact=size <= EXACT_MOST)
        for place, i in enumerate(asked):
            near = matches if len(asked) == 1 else matches[place]  # One query alone is no batch to usearch.
            found[i] = self._passages.hits(near.keys.tolist(), (1.0 - near.distances).tolist(), k, exclude)
        return found


def rules(embedder: Embedder) -> dict[str, Json]:
    """What decides on the vectors of an index."""
    return {**_FORM, "embedder": dict(embedder.identity)}


def build(folder: Path, contents: Iterable[str], embedder: Embedder, step: Callable[[int], None]) -> dict[str, Json]:
    """Write the index of passages into a folder. Returns what it says of itself; `step` is told how many are done.

    Raises:
        ConfigError: a library is not installed.
        RetrievalFailed: the embedding model failed.
    """
    np, usearch = library("numpy"), library("usearch.index")
    index = usearch.Index(ndim=embedder.dimensions, metric="ip", dtype="f16")
    left, done, cut = iter(contents), 0, 0
    while block := list(islice(left, _BLOCK)):
        embedded = embedder.embed(block, query=False)
        index.add(np.arange(done, done + len(block), dtype=np.uint64), embedded.vectors)
        done, cut = done + len(block), cut + embedded.cut
        step(done)
    index.save(str(folder / _FILE))
    return {
        **rules(embedder),
        "model": embedder.name,
        "dimensions": embedder.dimensions,
        "cut": cut,
        "usearch": metadata.version("usearch"),
    }


def _mapped(corpus: Corpus, folder: Path) -> Any:
    usearch = library("usearch.index")
    try:
        index = usearch.Index.restore(str(folder / _FILE), view=True)
    except Exception as e:  # whatever the library finds wrong with its file
        raise corpus.broken("dense", f"{type(e).__name__}: {e}") from None
    if index is None or len(index) != corpus.size:
        raise corpus.broken("dense", f"it holds {0 if index is None else len(index)} of {corpus.size} vectors")
    return index
