"""Settings of the graphs that retrieve, checked before a run starts. Light: no LangGraph here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .settings import SearchSettings


class ReaderSettings(SearchSettings):
    """What all graphs that answer questions in a few words can be set to. `max_tokens` is for one reply here."""

    temperature: float = Field(0.0, ge=0, le=2, description="0 is greedy")
    max_tokens: int = Field(64, ge=1, description="Most tokens of one reply")
    n: int = Field(
        1, ge=1, description="Answers, each by a dialogue of its own; the verifier chooses. Needs a temperature above 0"
    )
    stop_at_pass: bool = Field(True, description="With several answers: return the first that passes and cancel the rest")


class CorpusSettings(ReaderSettings):
    """What all graphs that retrieve can be set to."""

    corpus: str = Field("", description="Name of a corpus, or address of a retrieval server")
    retriever: Literal["lexical", "dense", "hybrid"] | None = Field(
        None, description="Index to search; null for all that the corpus has, fused"
    )
    links: int = Field(
        0, ge=0, le=50, description="Of the first passages found, how many are read for titles of others, which are found too"
    )
    on_failure: Literal["raise", "close"] = Field(
        "raise", description="A search that fails ends the run, which can be resumed; or it ends the searching"
    )


class RagSettings(CorpusSettings):
    """What all but DRAG and IterDRAG can be set to, which count in documents and words."""

    k: int = Field(3, ge=1, le=10_000, description="Passages of a search")
    passage_chars: int = Field(2000, ge=1, description="Characters of one passage that are shown")


class ClosedBookSettings(ReaderSettings):
    """Settings of `closed_book`."""


class NaiveRagSettings(RagSettings):
    """Settings of `naive_rag`."""

    k: int = Field(5, ge=1, le=10_000, description="Passages of the search")
    order: Literal["best_first", "best_last"] = Field("best_first", description="Where the best passage stands")
    retries: int = Field(1, ge=0, le=4, description="How often a reply is asked for again that is empty or cut")
    at_end: Literal["closed_book", "give_up"] = Field(
        "give_up", description="What follows if no reply can be used: an answer without passages, or none"
    )


class AutoRagSettings(RagSettings):
    """Settings of `auto_rag`."""

    max_tokens: int = Field(200, ge=1, description="Most tokens of one reply")
    answer_tokens: int = Field(64, ge=1, description="Most tokens of an answer without passages")
    rounds: int = Field(5, ge=0, le=100, description="Most searches")
    elicit: int = Field(5, ge=0, le=50, description="Most documents that the model writes itself once searching has ended")
    retries: int = Field(1, ge=0, le=4, description="How often a turn is asked for again whose reply could not be read")
    at_end: Literal["closed_book", "force", "give_up"] = Field(
        "closed_book",
        description="What follows without an answer: one without passages, a last turn that must answer, or nothing",
    )
    format: Literal["few_shot", "trained"] = Field(
        "few_shot", description="Rules and examples for any chat model, or the form of the authors' checkpoint"
    )
    structured: bool = Field(False, description="Have the labels enforced where the engine can")
