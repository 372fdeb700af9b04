"""Linked retrieval: a search, and one hop further to the passages whose titles are named in what it found.

A question that takes two passages often names only one of them; the other is named there. So three rankings are fused by
reciprocal rank: what the retriever finds for the query, the passages whose titles the query names, and those whose titles the
first of these name, one after another in the order of the text. No model is asked. Asai et al. 2020 (https://arxiv.org/abs/1911.10470)
have a trained model follow Wikipedia's links, Das et al. 2019 (https://arxiv.org/abs/1909.07597) hop over the entities that
passages name. Here a link is the exact mention of a title, so that any corpus with titles has them.

What is excluded is left out of the fused ranking and not of the rankings before it: a passage that was shown still tells where
to go on, and the same query asked again walks down the same ranking.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Mapping, Sequence
from itertools import islice

from ..core.errors import ConfigError
from ..core.ids import Json
from .corpus import Corpus
from .hybrid import DEPTH, RRF_K, fused
from .passage import Hit, hit_of
from .retriever import MOST_HITS, Retriever, check_k, prepared
from .titles import Titles

READ = 3
"""Passages that are read for titles, where nothing else is said."""


class Linked:
    """A retriever over a corpus whose first passages lead to further ones."""

    def __init__(self, retriever: Retriever, corpus: Corpus, *, read: int = READ) -> None:
        """Follow the titles in the first `read` passages that a retriever over this corpus, or a title in the query, leads to.

        Raises:
            ConfigError: `read` is out of range.
            StoreError: the passages are damaged.
        """
        if not 1 <= read <= DEPTH:
            raise ConfigError(f"titles in the first {read} passages cannot be followed", hint=f"between 1 and {DEPTH}")
        self._retriever, self._corpus, self._read = retriever, corpus, read
        self._passages = corpus.passages()
        self._titles: Titles | None = None
        self._reading = threading.Lock()

    @property
    def identity(self) -> Mapping[str, Json]:
        of = dict(self._retriever.identity)
        return {"kind": "linked", "content": self._corpus.content, "read": self._read, "rrf_k": RRF_K, "depth": DEPTH, "of": of}

    async def search(self, queries: Sequence[str], k: int, exclude: Collection[str] = ()) -> list[list[Hit]]:
        check_k(k)
        left_out = frozenset(exclude)
        depth = min(max(k, DEPTH) + len(left_out), MOST_HITS)
        found = await self._retriever.search(queries, depth)
        return await asyncio.to_thread(self._followed, queries, found, k, left_out)

    async def close(self) -> None:
        await self._retriever.close()
        self._passages.close()

    def _followed(
        self, queries: Sequence[str], found: Sequence[Sequence[Hit]], k: int, exclude: frozenset[str]
    ) -> list[list[Hit]]:
        titles = self._all_titles()
        return [_without(self._one(titles, prepared(q), hits), k, exclude) for q, hits in zip(queries, found, strict=True)]

    def _one(self, titles: Titles, query: str, hits: Sequence[Hit]) -> list[Hit]:
        named = self._ranking(titles.named(query))
        first = fused([hits, named])[: self._read]
        linked = self._ranking(dict.fromkeys(row for hit in first for row in self._links(titles, hit)))
        return fused([hits, named, linked])

    def _links(self, titles: Titles, hit: Hit) -> list[int]:
        return [row for row in titles.named(hit.text) if self._passages[row].id != hit.id]

    def _ranking(self, rows: Collection[int]) -> list[Hit]:
        passages = (self._passages[row] for row in islice(rows, DEPTH))
        return [hit_of(p.id, p.contents, 1 / rank, rank) for rank, p in enumerate(passages, start=1)]

    def _all_titles(self) -> Titles:
        """The corpus's titles, read once, by the first search."""
        with self._reading:
            if self._titles is None:
                self._titles = Titles(passage.title for passage in self._passages)
            return self._titles


def _without(hits: Sequence[Hit], k: int, exclude: frozenset[str]) -> list[Hit]:
    kept = [hit for hit in hits if hit.id not in exclude][:k]
    return [Hit(h.id, h.title, h.text, h.score, rank) for rank, h in enumerate(kept, start=1)]
