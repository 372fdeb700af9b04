"""The built-in graphs `drag`, `iter_drag`, `ircot` and `iter_retgen`: other askers on the loop that Auto-RAG runs on.

What differs beside the asker are the limits: all begin with the question as the first query, may find a passage again, and have
the answer forced once the searches are used up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ..agents.demonstrations import demonstrations
from ..agents.drag import Drag
from ..agents.ircot import Ircot
from ..agents.iter_drag import IterDrag
from ..agents.iter_retgen import IterRetgen
from ..agents.reader import Reader
from ..agents.recall import DocumentWriter
from ..agents.rounds import Asker, Limits
from ..core.ids import Json
from ..retrieval.passage import Hit
from ..retrieval.retriever import Retriever
from .auto_rag import sampling
from .builtin import Graph
from .rag import rag_graph
from .rag_baseline_settings import DragSettings, IrcotSettings, IterDragSettings, IterRetgenSettings
from .rag_corpus import RagCorpus, corpus_of
from .rag_loop import RagLoop


class NoDocuments:
    """Finds nothing: what sub-questions are searched in where no documents are wanted."""

    @property
    def identity(self) -> Mapping[str, Json]:
        """One corpus without passages is like another."""
        return {"kind": "none"}

    async def search(self, queries: Sequence[str], k: int, exclude: Collection[str] = ()) -> list[list[Hit]]:
        """No hits for any query."""
        return [[] for _ in queries]

    async def close(self) -> None:
        """There is nothing to release."""


def drag(settings: DragSettings, *, retriever: Retriever | None = None) -> Graph:
    """Documents, worked examples, one call; `retriever` is used instead of the corpus that the settings name.

    Raises:
        ConfigError: there is no corpus, there are fewer examples than shots, or the verifier cannot be made.
    """
    return _single_call("drag", settings, retriever)


def iter_drag(settings: IterDragSettings, *, retriever: Retriever | None = None) -> Graph:
    """Sub-questions, each searched for and answered, at most `iterations`; with one iteration the single call of `drag`.

    Raises:
        ConfigError: there is no corpus, there are fewer examples than shots, or the verifier cannot be made.
    """
    if settings.iterations == 1:
        return _single_call("iter_drag", settings, retriever)
    asker = IterDrag(
        documents=settings.documents,
        shots=demonstrations(settings.shots, settings.examples),
        system=settings.system,
        sampling=sampling(settings),
        document_words=settings.document_words,
        structured=settings.structured,
    )
    limits = _limits(settings, rounds=1 + settings.iterations, k=settings.documents)
    corpus = corpus_of(settings, retriever) if settings.documents else RagCorpus(retriever=NoDocuments())
    return rag_graph(_loop("iter_drag", limits, asker, corpus), settings)


def ircot(settings: IrcotSettings, *, retriever: Retriever | None = None) -> Graph:
    """A sentence of reasoning, a search with it, the next sentence.

    Raises:
        ConfigError: there is no corpus, there are fewer examples than shots, or the verifier cannot be made.
    """
    asker = Ircot(
        most=settings.most,
        shots=demonstrations(settings.shots, settings.examples),
        documents=settings.k,
        system=settings.system,
        sampling=sampling(settings),
        passage_chars=settings.passage_chars,
    )
    limits = _limits(settings, rounds=settings.rounds, k=settings.k)
    return rag_graph(_loop("ircot", limits, asker, corpus_of(settings, retriever)), settings)


def iter_retgen(settings: IterRetgenSettings, *, retriever: Retriever | None = None) -> Graph:
    """A search with the question and what was generated before, a generation from what it found, `rounds` times.

    Raises:
        ConfigError: there is no corpus, or the verifier cannot be made.
    """
    reader = Reader(
        system=settings.system,
        sampling=sampling(settings),
        role="proposer",
        accumulate="replace",
        passage_chars=settings.passage_chars,
    )
    limits = _limits(settings, rounds=settings.rounds, k=settings.k)
    return rag_graph(_loop("iter_retgen", limits, IterRetgen(reader=reader), corpus_of(settings, retriever)), settings)


def _single_call(name: str, settings: DragSettings, retriever: Retriever | None) -> Graph:
    asker = Drag(
        documents=settings.documents,
        shots=demonstrations(settings.shots, settings.examples),
        system=settings.system,
        sampling=sampling(settings),
        document_words=settings.document_words,
    )
    limits = _limits(settings, rounds=1 if settings.documents else 0, k=settings.documents)
    corpus = corpus_of(settings, retriever) if settings.documents else None
    return rag_graph(_loop(name, limits, asker, corpus), settings)


def _limits(settings: DragSettings | IrcotSettings | IterRetgenSettings, *, rounds: int, k: int) -> Limits:
    return Limits(
        rounds=rounds,
        k=k,
        first="question",
        unseen=False,
        retries=settings.retries,
        at_end="force",
        on_failure=settings.on_failure,
    )


def _loop(name: str, limits: Limits, asker: Asker, corpus: RagCorpus | None) -> RagLoop:
    # Neither a reader nor a recaller comes in: the limits allow no last resort and no document of the model's own.
    return RagLoop(name, limits, asker=asker, reader=Reader(), recaller=DocumentWriter(), corpus=corpus)
