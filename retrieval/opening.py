"""A retriever by name: a corpus of this machine, or the address of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.errors import ConfigError
from ..core.extensions import Extension, extension
from .corpus import KINDS, Corpus, Kind
from .retriever import Retriever

if TYPE_CHECKING:
    from .embedder import Embedder


def open_retriever(name: str, kind: Kind | None = None, *, links: int = 0, embedder: Embedder | None = None) -> Retriever:
    """Open the retriever for a corpus, for a server if the name is an http or https address, or an extension's.

    None for the kind takes all indexes that the corpus has: both are fused. With `links` the titles in so many first hits are
    followed (`Linked`). Opening reads no passages; a dense index may load libraries for seconds, so within an event loop call
    it through `asyncio.to_thread`.

    Raises:
        ConfigError: there is no such corpus, kind or index, or a library is missing.
        StoreError: the corpus is damaged, or was made otherwise.
    """
    if name.startswith(("http://", "https://")):
        if kind is not None:
            raise ConfigError("a server decides itself how it searches", hint="leave the kind out")
        _refuse_links(name, links)
        from .remote import Remote

        return Remote(name)
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"there is no kind of retriever {kind!r}", hint=f"one of: {', '.join(KINDS)}")
    place = find(name, kind, links=links)
    if isinstance(place, Extension):
        return _made(place.load(), name)
    retriever = _indexed(place, kind, embedder)
    if not links:
        return retriever
    from .linked import Linked

    return Linked(retriever, place, read=links)


def find(name: str, kind: Kind | None = None, *, links: int = 0) -> Corpus | Extension:
    """The corpus of this machine that a name stands for, or else the extension; nothing is opened.

    Raises:
        ConfigError: there is neither, or an extension's kind is to be chosen, or its titles followed.
        StoreError: the corpus is damaged.
    """
    try:
        return Corpus.open(name)
    except ConfigError:
        if kind is None and (found := extension("retriever", name)) is not None:
            _refuse_links(name, links)
            return found
        raise


def _indexed(corpus: Corpus, kind: Kind | None, embedder: Embedder | None) -> Retriever:
    """The retriever over a corpus's indexes."""
    there = corpus.kinds
    if not there:
        raise ConfigError(f"the corpus {corpus.name} has no index", hint=corpus.adding("lexical"))
    wanted = kind or ("hybrid" if set(there) == {"lexical", "dense"} else there[0])
    if wanted == "lexical":
        return _lexical(corpus)
    if wanted == "dense":
        return _dense(corpus, embedder)
    from .hybrid import Hybrid

    return Hybrid([_lexical(corpus), _dense(corpus, embedder)])


def _refuse_links(name: str, links: int) -> None:
    """Refuse to follow titles where no corpus of this machine is searched.

    Raises:
        ConfigError: links are wanted.
    """
    if links:
        raise ConfigError(f"the titles of {name} are not known here, so none can be followed", hint="leave links out")


def _made(found: object, name: str) -> Retriever:
    """The retriever of an extension, or the one that its factory makes."""
    ready = isinstance(found, Retriever) and not isinstance(found, type)
    made = found() if callable(found) and not ready else found
    if not isinstance(made, Retriever):
        raise ConfigError(f"the retriever {name} is a {type(made).__name__}", hint="name a retriever, or what makes one")
    return made


def _lexical(corpus: Corpus) -> Retriever:
    from .lexical import Lexical

    return Lexical(corpus)


def _dense(corpus: Corpus, embedder: Embedder | None) -> Retriever:
    from .dense import Dense

    return Dense(corpus, embedder)
