"""A solution, whole or partial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .completion import Completion, FinishReason

Kind: TypeAlias = Literal["fresh", "continue", "refine", "repair", "merge"]
"""How a candidate came to be: from the task alone, by continuing a prefix, by rewriting its parent under feedback,
by resampling behind the part of its parent that was verified, or out of several parents."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A solution, with where it comes from. Candidates of a run form a tree (with `merge`, a graph)."""

    id: str
    """Derived from run and position."""
    position: str
    """Where in the run it came to be."""
    text: str
    """The answer, without reasoning; with `continue` and `repair`, the prefix included."""
    reasoning: str = ""
    """What the model thought aloud; apart from the answer."""
    kind: Kind = "fresh"
    parents: tuple[str, ...] = ()
    """Ids of the candidates that it was made from; the first is its parent in the tree."""
    depth: int = 0
    """Steps from the root of its tree."""
    finish_reason: FinishReason = "stop"
    partial: bool = False
    """Whether it is only the beginning of a solution: more steps may follow."""
    call_id: str | None = None
    """The model call that made it; None if no call did."""
    token_ids: tuple[int, ...] | None = None
    """Tokens of the whole answer, to continue it from; None if the engine does not say."""
    answer: str | None = None
    """Key of the extracted answer, under which votes are counted; None if none was found, or none looked for."""

    @property
    def truncated(self) -> bool:
        """Whether it was cut at its token limit: not an answer's end."""
        return self.finish_reason == "length"

    @staticmethod
    def of(text: str) -> Candidate:
        """A candidate outside any run, for trying a verifier."""
        return Candidate(id="", position="", text=text)

    @staticmethod
    def from_completion(completion: Completion, *, id: str, position: str, answer: str | None = None) -> Candidate:
        """A fresh candidate that one completion makes."""
        return Candidate(
            id=id,
            position=position,
            text=completion.text,
            reasoning=completion.reasoning,
            finish_reason=completion.finish_reason,
            call_id=completion.call_id,
            token_ids=completion.token_ids,
            answer=answer,
        )
