"""Reranking: a retriever finds many passages, a dearer model that reads query and passage together puts them in order.

Which model is the user's: a cross-encoder, a judge, a service behind a client of one's own. A model that fails is the
search's failure: falling back on the first order would look like a reranked one.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

from ..core.errors import RetrievalFailed
from ..core.ids import Json
from .passage import Hit
from .retriever import MOST_HITS, Retriever, check_k, prepared


@runtime_checkable
class Reranker(Protocol):
    """Says how well passages answer a query. Called from threads, never from the event loop."""

    @property
    def identity(self) -> Mapping[str, Json]:
        """What decides on the scores: weights and settings."""
        ...

    def score(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        """One number for each passage, the higher the better. A passage is its title, a line break, its text.

        Raises:
            RetrievalFailed: the model failed.
        """
        ...


class Reranked:
    """A retriever whose first hits are put in order anew."""

    def __init__(self, retriever: Retriever, reranker: Reranker, *, depth: int = 50) -> None:
        """Reorder the first `depth` hits, or the first `k` where more are asked for.

        Raises:
            ConfigError: the depth is out of range.
        """
        check_k(depth)
        self._retriever, self._reranker, self._depth = retriever, reranker, depth

    @property
    def identity(self) -> Mapping[str, Json]:
        of, by = dict(self._retriever.identity), dict(self._reranker.identity)
        return {"kind": "reranked", "depth": self._depth, "of": of, "by": by}

    async def search(self, queries: Sequence[str], k: int, exclude: Collection[str] = ()) -> list[list[Hit]]:
        check_k(k)
        found = await self._retriever.search(queries, min(max(k, self._depth), MOST_HITS), exclude)
        return await asyncio.to_thread(self._reordered, queries, found, k)

    async def close(self) -> None:
        await self._retriever.close()

    def _reordered(self, queries: Sequence[str], found: Sequence[Sequence[Hit]], k: int) -> list[list[Hit]]:
        return [self._one(prepared(query), hits, k) if hits else [] for query, hits in zip(queries, found, strict=True)]

    def _one(self, query: str, hits: Sequence[Hit], k: int) -> list[Hit]:
        scores = [float(score) for score in self._reranker.score(query, [hit.contents for hit in hits])]
        if len(scores) != len(hits) or not all(map(math.isfinite, scores)):
            raise RetrievalFailed(
                f"the reranker gave {len(scores)} scores for {len(hits)} passages, or one that is no number", code="reranker"
            )
        order = sorted(range(len(hits)), key=lambda i: -scores[i])[:k]  # Equal ones stay as they were.
        return [Hit(hits[i].id, hits[i].title, hits[i].text, scores[i], rank) for rank, i in enumerate(order, start=1)]
