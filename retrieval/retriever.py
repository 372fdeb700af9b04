"""The retriever protocol, and what every retriever does with its arguments.

- A query that is empty, or holds nothing but white space, finds nothing: a model that writes none gets no passages, not an
  error.
- A query is cut at `MOST_QUERY` characters; what a model repeats for megabytes is no better a query.
- `k` may be larger than the corpus: then all that matches is found. What is excluded does not count towards `k`.
- Hits stand best first, equal ones in the corpus's order, so that the same search finds the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

from ..core.errors import ConfigError
from ..core.ids import Json
from .passage import Hit

MOST_QUERY = 4000
"""Characters of a query that are searched for; the rest is cut."""
MOST_HITS = 10_000
"""The largest `k`."""


@runtime_checkable
class Retriever(Protocol):
    """Finds passages for queries. Safe to share between tasks of one event loop."""

    @property
    def identity(self) -> Mapping[str, Json]:
        """What decides on the hits: kind, the corpus's content hash, settings. Two with one identity find the same."""
        ...

    async def search(self, queries: Sequence[str], k: int, exclude: Collection[str] = ()) -> list[list[Hit]]:
        """For each query its best passages, at most `k`, none with an id in `exclude`. Work is done off the event loop.

        Raises:
            ConfigError: `k` is out of range.
            RetrievalFailed: the search failed.
            StoreError: the index is damaged.
        """
        ...

    async def close(self) -> None:
        """Release everything. Called again it does nothing."""
        ...


def prepared(query: str) -> str:
    """A query as it is searched for: cut, trimmed, and free of surrogates, which no tokenizer takes."""
    return query[:MOST_QUERY].encode("utf-8", "replace").decode().strip()


def check_k(k: int) -> None:
    """Refuse a number of passages that makes no sense.

    Raises:
        ConfigError: it is out of range.
    """
    if not 1 <= k <= MOST_HITS:
        raise ConfigError(f"{k} passages cannot be searched for", hint=f"k is between 1 and {MOST_HITS:,}")
