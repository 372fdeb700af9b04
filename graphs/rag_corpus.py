"""The retriever of a graph: opened by name when it is first needed, shared by all runs of the graph.

A name is checked when the graph is built, so that a wrong one is an error before anything starts. A server's connections are
closed when the last dialogue that used them has left; a corpus of this machine stays mapped as long as the graph lives.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..core.errors import ConfigError
from ..retrieval.corpus import Kind
from ..retrieval.opening import find, open_retriever
from ..retrieval.remote import Remote
from ..retrieval.retriever import Retriever

if TYPE_CHECKING:
    from .rag_settings import CorpusSettings


class RagCorpus:
    """Lends one retriever to many dialogues."""

    def __init__(self, name: str = "", kind: Kind | None = None, *, links: int = 0, retriever: Retriever | None = None) -> None:
        """Take a corpus, server or extension by name, or a retriever that is there already and stays its owner's.

        Raises:
            ConfigError: there is none of this name, or titles are to be followed where none are known.
            StoreError: it is damaged.
        """
        self._name, self._given, self._opened = name, retriever, retriever
        self._links = links
        self._kind: Kind | None = kind
        self._opening = asyncio.Lock()
        self._borrowers: set[str] = set()
        if retriever is not None:
            return
        if not name:
            raise ConfigError("there is no corpus to search in", hint="--set corpus=NAME; burnish corpus build makes one")
        if name.startswith(("http://", "https://")):
            self._opened = open_retriever(name, kind, links=links)
        else:
            find(name, kind, links=links)

    async def borrow(self, borrower: str) -> Retriever:
        """The retriever, opened if need be, until this dialogue leaves."""
        self._borrowers.add(borrower)
        async with self._opening:
            if self._opened is None:
                self._opened = await asyncio.to_thread(open_retriever, self._name, self._kind, links=self._links)
        return self._opened

    async def leave(self, borrower: str) -> None:
        """A dialogue needs it no more. Called again, or by one that never borrowed it, it does nothing."""
        if borrower not in self._borrowers:
            return
        self._borrowers.discard(borrower)
        if not self._borrowers and self._given is None and isinstance(self._opened, Remote):
            await self._opened.close()  # The next search connects anew.


def corpus_of(settings: CorpusSettings, retriever: Retriever | None = None) -> RagCorpus:
    """The corpus that settings name, or a retriever given in code."""
    return RagCorpus(settings.corpus, settings.retriever, links=settings.links, retriever=retriever)
