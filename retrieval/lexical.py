"""Lexical retrieval: BM25 over words, by bm25s, its scores memory-mapped.

Words are runs of letters and digits, in lower case, reduced to their stem by Snowball's English rules; single characters count,
so that "vitamin C" and "1 7" can be found. No word is a stop word: one in every passage hardly scores, and titles are made of
them. What shares no word with the query is no hit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import ConfigError
from ..core.ids import Json
from .corpus import Corpus
from .extras import library
from .passage import Hit
from .retriever import check_k, prepared

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WORD = r"(?u)\b\w+\b"
RULES: Mapping[str, Json] = {
    "words": _WORD,
    "stemmer": "snowball english",
    "method": "lucene",
    "k1": 1.5,
    "b": 0.75,
}
"""What decides on scores; an index that was made by others is refused."""


class Lexical:
    """BM25 over the words of a corpus."""

    def __init__(self, corpus: Corpus) -> None:
        """Map the corpus's lexical index.

        Raises:
            ConfigError: it has none, or bm25s is not installed.
            StoreError: the index is damaged, or made by other rules.
        """
        folder = corpus.index("lexical", RULES)
        self._corpus = corpus
        self._scorer = _loaded(corpus, folder)
        self._passages = corpus.passages()

    @property
    def identity(self) -> Mapping[str, Json]:
        return {"kind": "lexical", "content": self._corpus.content, **RULES}

    async def search(self, queries: Sequence[str], k: int, exclude: Collection[str] = ()) -> list[list[Hit]]:
        check_k(k)
        return await asyncio.to_thread(self._search, [prepared(q) for q in queries], k, frozenset(exclude))

    async def close(self) -> None:
        self._passages.close()

    def _search(self, queries: Sequence[str], k: int, exclude: frozenset[str]) -> list[list[Hit]]:
        return [self._one(words, k, exclude) for words in _words(queries)]

    def _one(self, words: list[str], k: int, exclude: frozenset[str]) -> list[Hit]:
        known = [word for word in words if word in self._scorer.vocab_dict]
        if not known:
            return []
        scores: NDArray[np.float32] = self._scorer.get_scores(known)
        rows = best(scores, k + len(exclude))
        return self._passages.hits(rows.tolist(), scores[rows].tolist(), k, exclude)


def build(folder: Path, contents: Iterable[str]) -> dict[str, Json]:
    """Write the index of passages into a folder. Returns what it says of itself.

    Raises:
        ConfigError: no passage has a word, or bm25s is not installed.
    """
    bm25s = library("bm25s")
    words: Any = _tokenized(list(contents), ids=True)
    if not any(words.ids):
        raise ConfigError("no passage holds a word", hint="a lexical index needs letters or digits")
    scorer = bm25s.BM25(method=RULES["method"], k1=RULES["k1"], b=RULES["b"])
    scorer.index(words, show_progress=False)
    scorer.save(folder, show_progress=False)
    return {**RULES, "vocabulary": len(words.vocab), "bm25s": metadata.version("bm25s")}


def best(scores: NDArray[Any], k: int) -> NDArray[np.intp]:
    """Rows of the `k` best scores above 0, best first, equal ones in the order of rows."""
    np = library("numpy")
    least = np.partition(scores, len(scores) - k)[len(scores) - k] if k < len(scores) else 0.0
    rows = np.flatnonzero((scores >= least) & (scores > 0))
    return rows[np.argsort(-scores[rows], kind="stable")][:k]


def _words(texts: Sequence[str]) -> list[list[str]]:
    return _tokenized(texts, ids=False)


def _tokenized(texts: Sequence[str], *, ids: bool) -> Any:
    # A stemmer is not to be shared by threads, and cheap to make.
    stemmer = library("Stemmer").Stemmer("english")
    tokenize = library("bm25s").tokenize
    return tokenize(texts, token_pattern=_WORD, stopwords=[], stemmer=stemmer, return_ids=ids, show_progress=False)


def _loaded(corpus: Corpus, folder: Path) -> Any:
    scorer = library("bm25s").BM25
    try:
        return scorer.load(folder, mmap=True, show_progress=False)
    except Exception as e:  # whatever the library finds wrong with its files
        raise corpus.broken("lexical", f"{type(e).__name__}: {e}") from None
