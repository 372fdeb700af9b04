"""The values of iterative retrieval: what was asked and found in each round, what the model may say next, and the policies in
which the methods of the field differ.

A method is an `Asker`: shown the dialogue so far (`Turn`) it makes one move, a query, an answer, or a reply that could not be
read. Everything else is the loop's, the same for all: searching, leaving out what was shown, limits, what happens at the end.

    naive RAG    first the question, one round; the asker is a reader
    DRAG         the same, behind worked examples; best last
    Auto-RAG     the model's own queries; append, then elicited documents, then the closed book
    IterDRAG     first the question; append, best last; forced at the end
    IRCoT        first the question, then the last sentence; merge, best last; forced at the end
    ITER-RETGEN  first the question, then question and generation; replace; forced at the end
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from ..core.completion import Completion, TokenCounts
from ..core.context import Context
from ..core.ids import Json
from ..retrieval.passage import Hit

Source: TypeAlias = Literal["search", "recall"]
"""Where a round's text comes from: the retriever, or the model's own knowledge."""
First: TypeAlias = Literal["model", "question"]
"""The first query: the model's, or the question as it stands, for which nobody is asked."""
AtEnd: TypeAlias = Literal["force", "closed_book", "give_up"]
"""What follows when the rounds are used up without an answer: the asker must answer from what it has; a reader answers the bare
question; nothing does."""
OnFailure: TypeAlias = Literal["raise", "close"]
"""A search that fails ends the run, which can be resumed; or it ends the searching, and what `AtEnd` says follows."""
Accumulate: TypeAlias = Literal["replace", "append", "merge"]
"""Which passages are shown: the newest round's; each round's behind those before it; all, in the order of their best score."""
Order: TypeAlias = Literal["best_first", "best_last"]
"""Where the best passage of a ranking stands; last is nearest to the question that follows."""
StopReason: TypeAlias = Literal["answered", "answered_parametric", "closed_book", "format_failure", "exhausted", "failed"]
"""How a dialogue ended. `answered`: by its asker; `answered_parametric`: after at least one document that the model wrote
itself; `closed_book`: by the last resort. Without an answer: `format_failure`, replies could not be read; `exhausted`, rounds or
budget were used up; `failed`, a search or a model call failed and nothing else was left to try."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """One query and what came of it."""

    query: str
    """As the asker gave it."""
    source: Source = "search"
    hits: tuple[Hit, ...] = ()
    """Passages found, best first; empty if there were none, or none that had not been shown before."""
    recalled: str = ""
    """The document that the model wrote; for `recall` only."""
    said: str = ""
    """The model's turn that asked for this round, as the dialogue shows it; empty where the question itself was the query."""

    def to_json(self) -> dict[str, Json]:
        """What the record of the choice tells of a round; texts stand with the calls."""
        return {"query": self.query, "source": self.source, "documents": [h.id for h in self.hits]}


@dataclass(frozen=True, kw_only=True)
class Query:
    """Go on with this query."""

    text: str
    said: str = ""
    """The turn as the dialogue is to show it."""
    tokens: TokenCounts = field(default_factory=TokenCounts)
    """Of all calls that this move took."""
    calls: int = 1


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer."""

    text: str
    completion: Completion
    """The call that gave it."""
    said: str = ""
    tokens: TokenCounts = field(default_factory=TokenCounts)
    calls: int = 1


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A reply that is neither a query nor an answer."""

    reason: str
    """What is wrong, in words that the model can be shown."""
    said: str = ""
    tokens: TokenCounts = field(default_factory=TokenCounts)
    calls: int = 1


Move: TypeAlias = Query | Answer | Problem


@dataclass(frozen=True, kw_only=True)
class Turn:
    """The dialogue as an asker sees it. Immutable: the same turn asks for the same move."""

    question: str
    rounds: tuple[Round, ...] = ()
    """Oldest first."""
    problems: tuple[Problem, ...] = ()
    """Replies of this very turn that could not be read; the asker may say so to the model."""
    must: bool = False
    """Whether nothing more is searched for, and only an answer is of use: with `force`, the turn after the last round."""


class Asker(Protocol):
    """A method of iterative retrieval: makes the next move."""

    async def step(self, ctx: Context, turn: Turn) -> Move:
        """One move. `ctx` is a scope of this turn's own, so calls may have fixed keys.

        Raises:
            GenerationFailed: a call failed; the dialogue closes without another turn.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Recalled:
    """A document that the model wrote out of its own knowledge."""

    text: str
    """Empty if it wrote none."""
    tokens: TokenCounts = field(default_factory=TokenCounts)


class Recaller(Protocol):
    """Writes a document in place of the retriever's."""

    async def recall(self, ctx: Context, question: str, query: str) -> Recalled:
        """One document.

        Raises:
            GenerationFailed: the call failed.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the loop does around an asker."""

    rounds: int = 5
    """Most searches."""
    k: int = 3
    """Passages of a search."""
    first: First = "model"
    unseen: bool = True
    """Whether a passage that was shown is not found again."""
    elicit: int = 0
    """Most documents that the model writes itself once searching has ended."""
    retries: int = 1
    """How often a turn is asked for again whose reply could not be read."""
    at_end: AtEnd = "closed_book"
    on_failure: OnFailure = "raise"


def shown(rounds: Sequence[Round], accumulate: Accumulate, order: Order = "best_first", most: int | None = None) -> list[Hit]:
    """The passages that a prompt lists, each once: the best `most` of a ranking, the newest `most` of a growing list.

    A passage that `append` would list twice stays where it first stood. Scores of one retriever are compared over queries,
    as `merge` does it in the field. `best_last` turns each ranking round; appended rounds stay in their order.
    """
    if accumulate == "append":
        listed = {h.id: h for r in reversed(rounds) for h in r.hits}
        turned = (h.id for r in rounds for h in (r.hits if order == "best_first" else r.hits[::-1]))
        ids = list(dict.fromkeys(turned))
        return [listed[i] for i in (ids if most is None else ids[max(0, len(ids) - most) :])]
    best: dict[str, Hit] = {}
    for hit in (h for r in (rounds if accumulate == "merge" else rounds[-1:]) for h in r.hits):
        if hit.id not in best or hit.score > best[hit.id].score:
            best[hit.id] = hit
    ranking = sorted(best.values(), key=lambda h: -h.score) if accumulate == "merge" else list(best.values())
    ranking = ranking[:most]
    return ranking if order == "best_first" else ranking[::-1]


def queries(rounds: Sequence[Round]) -> list[str]:
    """What was asked for, oldest first."""
    return [r.query for r in rounds]


def seen(rounds: Sequence[Round]) -> frozenset[str]:
    """Ids of the passages that were shown."""
    return frozenset(h.id for r in rounds for h in r.hits)


def told(rounds: Sequence[Round]) -> Mapping[str, Json]:
    """Numbers of a dialogue, for the record of the choice."""
    searched = [r for r in rounds if r.source == "search"]
    return {"searches": len(searched), "documents": sum(len(r.hits) for r in searched), "recalled": len(rounds) - len(searched)}
