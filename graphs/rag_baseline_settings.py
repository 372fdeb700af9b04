"""Settings of the graphs that Auto-RAG is measured against, checked before a run starts. Light: no LangGraph here.

`documents`, `shots` and `iterations` are the names that the computation allocation model goes by (`burnish rag fit`).
"""

from __future__ import annotations

from pydantic import Field

from .rag_settings import CorpusSettings, RagSettings


class DragSettings(CorpusSettings):
    """Settings of `drag`."""

    corpus: str = Field("", description="Name of a corpus, or address of a retrieval server; not needed without documents")
    documents: int = Field(5, ge=0, le=10_000, description="Documents of a search, and most of each query of an example")
    shots: int = Field(4, ge=0, le=10_000, description="Worked examples")
    examples: str = Field("", description="File of worked examples, JSON Lines; empty for those that ship")
    document_words: int = Field(1024, ge=1, description="Words of one document that are shown")
    retries: int = Field(1, ge=0, le=4, description="How often a reply is asked for again that could not be used")


class IterDragSettings(DragSettings):
    """Settings of `iter_drag`."""

    max_tokens: int = Field(128, ge=1, description="Most tokens of one line")
    iterations: int = Field(5, ge=1, le=100, description="Most sub-questions; with 1 there are none, and one call, as in `drag`")
    structured: bool = Field(True, description="Have the labels enforced where the engine can")


class IrcotSettings(RagSettings):
    """Settings of `ircot`."""

    max_tokens: int = Field(128, ge=1, description="Most tokens of one reply")
    k: int = Field(6, ge=1, le=10_000, description="Passages of a search")
    rounds: int = Field(10, ge=1, le=100, description="Most searches, the first with the question, then with each sentence")
    most: int = Field(15, ge=1, description="Most passages that are shown, the best of all searches")
    shots: int = Field(1, ge=0, le=10_000, description="Worked examples")
    examples: str = Field("", description="File of worked examples, JSON Lines; empty for those that ship")
    retries: int = Field(1, ge=0, le=4, description="How often a reply is asked for again that could not be used")


class IterRetgenSettings(RagSettings):
    """Settings of `iter_retgen`."""

    k: int = Field(5, ge=1, le=10_000, description="Passages of a search")
    rounds: int = Field(3, ge=1, le=100, description="Searches, the first with the question; as many generations")
    retries: int = Field(1, ge=0, le=4, description="How often a reply is asked for again that is empty or cut")
