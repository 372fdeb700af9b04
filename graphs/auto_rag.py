"""The built-in graphs `auto_rag`, `naive_rag` and `closed_book`: one loop, three askers."""

from __future__ import annotations

from ..agents.auto_rag import AutoRag
from ..agents.reader import Reader
from ..agents.recall import DocumentWriter
from ..agents.rounds import Limits
from ..core.sampling import Sampling
from ..retrieval.retriever import Retriever
from .builtin import Graph
from .rag import rag_graph
from .rag_corpus import corpus_of
from .rag_loop import RagLoop
from .rag_settings import AutoRagSettings, ClosedBookSettings, NaiveRagSettings, ReaderSettings


def auto_rag(settings: AutoRagSettings, *, retriever: Retriever | None = None) -> Graph:
    """A dialogue between model and retriever; `retriever` is used instead of the corpus that the settings name.

    Raises:
        ConfigError: there is no corpus, or the verifier cannot be made.
    """
    asker = AutoRag(
        format=settings.format,
        system=settings.system,
        sampling=sampling(settings),
        passage_chars=settings.passage_chars,
        structured=settings.structured,
    )
    limits = Limits(
        rounds=settings.rounds,
        k=settings.k,
        elicit=settings.elicit,
        retries=settings.retries,
        at_end=settings.at_end,
        on_failure=settings.on_failure,
    )
    writer = DocumentWriter(sampling=Sampling(max_tokens=settings.max_tokens, temperature=settings.temperature))
    reader = Reader(sampling=sampling(settings).but(max_tokens=settings.answer_tokens))
    loop = RagLoop("auto_rag", limits, asker=asker, reader=reader, recaller=writer, corpus=corpus_of(settings, retriever))
    return rag_graph(loop, settings)


def naive_rag(settings: NaiveRagSettings, *, retriever: Retriever | None = None) -> Graph:
    """One search with the question, then one answer.

    Raises:
        ConfigError: there is no corpus, or the verifier cannot be made.
    """
    reader = Reader(
        system=settings.system, sampling=sampling(settings), order=settings.order, passage_chars=settings.passage_chars
    )
    limits = Limits(
        rounds=1,
        k=settings.k,
        first="question",
        retries=settings.retries,
        at_end=settings.at_end,
        on_failure=settings.on_failure,
    )
    loop = RagLoop(
        "naive_rag", limits, asker=reader, reader=reader, recaller=DocumentWriter(), corpus=corpus_of(settings, retriever)
    )
    return rag_graph(loop, settings)


def closed_book(settings: ClosedBookSettings) -> Graph:
    """No search: the last resort of the others, at once.

    Raises:
        ConfigError: the verifier cannot be made.
    """
    reader = Reader(system=settings.system, sampling=sampling(settings))
    limits = Limits(rounds=0, first="question")
    loop = RagLoop("closed_book", limits, asker=reader, reader=reader, recaller=DocumentWriter(), corpus=None)
    return rag_graph(loop, settings)


def sampling(settings: ReaderSettings) -> Sampling:
    """How replies are sampled."""
    return Sampling(
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        logprobs=0 if settings.logprobs else None,
    )
