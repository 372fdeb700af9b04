"""Finding: corpora and the retrievers that search them. Names are imported when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .build import build_corpus
    from .chunks import Chunking
    from .corpus import Corpus
    from .dense import Dense
    from .embedder import Embedded, Embedder
    from .hybrid import Hybrid
    from .lexical import Lexical
    from .linked import Linked
    from .opening import open_retriever
    from .passage import Hit, Passage
    from .record import Retrieval, retrieve
    from .remote import Remote
    from .reranked import Reranked, Reranker
    from .retriever import Retriever
    from .sentence_model import SentenceModel

_HOMES = {
    "Chunking": "chunks",
    "Corpus": "corpus",
    "Dense": "dense",
    "Embedded": "embedder",
    "Embedder": "embedder",
    "Hit": "passage",
    "Hybrid": "hybrid",
    "Lexical": "lexical",
    "Linked": "linked",
    "Passage": "passage",
    "Remote": "remote",
    "Reranked": "reranked",
    "Reranker": "reranked",
    "Retrieval": "record",
    "Retriever": "retriever",
    "SentenceModel": "sentence_model",
    "build_corpus": "build",
    "open_retriever": "opening",
    "retrieve": "record",
}

__all__ = [
    "Chunking",
    "Corpus",
    "Dense",
    "Embedded",
    "Embedder",
    "Hit",
    "Hybrid",
    "Lexical",
    "Linked",
    "Passage",
    "Remote",
    "Reranked",
    "Reranker",
    "Retrieval",
    "Retriever",
    "SentenceModel",
    "build_corpus",
    "open_retriever",
    "retrieve",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
