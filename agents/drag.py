"""DRAG, demonstration-based RAG (arXiv 2410.04343): documents, worked examples with documents of their own, and one call.

Each example has up to as many documents as the question. The best document stands last, nearest to the question, in the
examples too; a document is cut behind its first words, as the paper does it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..core.context import Context
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from ..retrieval.passage import Hit
from .demonstrations import Demonstration
from .passages import listed
from .reader import answered, asked, short_answer, was_cut
from .rounds import Move, Round, Turn, shown
from .templates import fill, load

DOCUMENT_WORDS = 1024
"""Words of one document that are shown; the paper's number."""


@dataclass(frozen=True, kw_only=True)
class Drag:
    """Reads the documents, after the examples, and answers."""

    documents: int = 5
    """Most documents of an example; 0 leaves documents out everywhere."""
    shots: Sequence[Demonstration] = ()
    """Worked examples, shown in this order."""
    system: str = ""
    """System text; empty for none."""
    sampling: Sampling = field(default_factory=lambda: Sampling(max_tokens=64, temperature=0.0))
    """Settings under which the task's own go."""
    role: str = "proposer"
    """Role whose engine answers."""
    document_words: int = DOCUMENT_WORDS
    """Words of one document that are shown."""
    instruction: str = field(default_factory=lambda: load("drag"))
    """What the prompt begins with."""
    again: str = field(default_factory=lambda: load("reader_again"))
    """What is said of a reply that was no answer: field `problem`."""

    async def step(self, ctx: Context, turn: Turn) -> Move:
        """The answer, or what was wrong with the reply."""
        said = await ctx.generate(self.prompt(ctx, turn), self.sampling.but(**ctx.task.sampling), role=self.role, key="call")
        return answered(said, short_answer(said.text), cut=was_cut(said), tokens=said.tokens)

    def prompt(self, ctx: Context, turn: Turn) -> Prompt:
        """Instruction, examples, documents and question in one message, then earlier replies and what was wrong with them."""
        shots = [self._block(shot.question, worked(shot, self.documents)[:1], f" {shot.answer}") for shot in self.shots]
        text = "\n\n".join([self.instruction, *shots, self._block(turn.question, turn.rounds, "")])
        corrections = [(p.said, fill(self.again, problem=p.reason)) for p in turn.problems]
        return asked(ctx, self.system, text, corrections)

    def _block(self, question: str, rounds: Sequence[Round], answer: str) -> str:
        documents = documents_block(rounds, self.document_words) if self.documents else ""
        return f"{documents}Question: {question.strip()}\nAnswer:{answer}"


def worked(shot: Demonstration, documents: int) -> list[Round]:
    """The rounds of an example, its question's first, with at most so many documents each."""
    first = Round(query=shot.question, hits=shot.documents[:documents])
    return [first, *(Round(query=step.query, hits=step.documents[:documents]) for step in shot.steps)]


def documents_block(rounds: Sequence[Round], words: int) -> str:
    """The documents of all rounds below a heading, a round's best last, each document once."""
    hits = [_cut(hit, words) for hit in shown(rounds, "append", "best_last")]
    return f"Documents:\n{listed(hits, sys.maxsize)}\n\n"


def _cut(hit: Hit, words: int) -> Hit:
    parts = hit.text.split(None, words)
    if len(parts) <= words:
        return hit
    return replace(hit, text=hit.text[: len(hit.text) - len(parts[-1])].rstrip())
