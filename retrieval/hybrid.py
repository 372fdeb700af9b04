"""Hybrid retrieval: several rankings made one by reciprocal rank fusion.

A passage scores 1 / (60 + rank) for each ranking that has it. Only ranks count, so rankings whose scores cannot be compared
can be fused; 60 is the constant of Cormack, Clarke and Büttcher (2009), https://doi.org/10.1145/1571941.1572114.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from ..core.errors import ConfigError
from ..core.ids import Json
from .passage import Hit
from .retriever import MOST_HITS, Retriever, check_k

RRF_K = 60
DEPTH = 50


class Hybrid:
    """Several retrievers over one corpus, asked at once."""

    def __init__(self, retrievers: Sequence[Retriever], *, depth: int = DEPTH) -> None:
        """Fuse at least `depth` hits of each retriever.

        Raises:
            ConfigError: there are fewer than two retrievers.
        """
        if len(retrievers) < 2:
            raise ConfigError("fusing takes two retrievers or more", hint="Hybrid([lexical, dense])")
        check_k(depth)
        self._retrievers, self._depth = tuple(retrievers), depth

    @property
    def identity(self) -> Mapping[str, Json]:
        parts: list[Json] = [dict(r.identity) for r in self._retrievers]
        return {"kind": "hybrid", "rrf_k": RRF_K, "depth": self._depth, "of": parts}

    async def search(self, queries: Sequence[str], k: int, exclude: Collection[str] = ()) -> list[list[Hit]]:
        check_k(k)
        depth = min(max(k, self._depth), MOST_HITS)
        rankings = await asyncio.gather(*(r.search(queries, depth, exclude) for r in self._retrievers))
        return [fused(of_query)[:k] for of_query in zip(*rankings, strict=True)]

    async def close(self) -> None:
        for retriever in self._retrievers:
            await retriever.close()


def fused(rankings: Sequence[Sequence[Hit]]) -> list[Hit]:
    """One ranking out of several. Of equal passages the one goes first that an earlier ranking has first."""
    scores: dict[str, float] = {}
    hits: dict[str, Hit] = {}
    for ranking in rankings:
        for hit in ranking:
            scores[hit.id] = scores.get(hit.id, 0.0) + 1 / (RRF_K + hit.rank)
            hits.setdefault(hit.id, hit)
    order = sorted(hits.values(), key=lambda hit: -scores[hit.id])
    return [Hit(h.id, h.title, h.text, float(f"{scores[h.id]:.7g}"), rank) for rank, h in enumerate(order, start=1)]
