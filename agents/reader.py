"""The reader: answers a question in a few words, by the passages found so far, or from what the model knows if nothing was
searched for. It is naive RAG's whole method, and the closed book that other methods fall back on.

An answer is the reply's first paragraph, without a label before it. A reply that is empty or was cut at its token limit is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..core.completion import Completion, TokenCounts
from ..core.context import Context
from ..core.prompt import Message, Prompt
from ..core.sampling import Sampling
from .passages import MOST_CHARACTERS, clipped, listed
from .rounds import Accumulate, Answer, Move, Order, Problem, Turn, shown
from .templates import fill, load

_LABEL = re.compile(r"[ \t*_#]{0,8}(?:final[ _])?answer[ \t*_]{0,4}:[ \t*_]*", re.IGNORECASE)
_BLANK = re.compile(r"\n[ \t]*\n")
_QUOTED = 1000
"""Most characters of a reply that are shown to the model again."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads and answers; never asks for a search."""

    system: str = ""
    """System text; empty for none."""
    sampling: Sampling = field(default_factory=lambda: Sampling(max_tokens=64, temperature=0.0))
    """Settings under which the task's own go."""
    role: str = "reader"
    """Role whose engine answers."""
    accumulate: Accumulate = "append"
    order: Order = "best_first"
    most: int | None = None
    """Most passages that are shown; None for all."""
    passage_chars: int = MOST_CHARACTERS
    """Characters of one passage that are shown."""
    template: str = field(default_factory=lambda: load("reader"))
    """Fields `documents`, `question`."""
    closed: str = field(default_factory=lambda: load("closed_book"))
    """Template where nothing was searched for: field `question`."""
    again: str = field(default_factory=lambda: load("reader_again"))
    """What is said of a reply that was no answer: field `problem`."""

    async def step(self, ctx: Context, turn: Turn) -> Move:
        """The answer, or what was wrong with the reply."""
        sampling = self.sampling.but(**ctx.task.sampling)
        said = await ctx.generate(self.prompt(ctx, turn), sampling, role=self.role, key="call")
        return answered(said, short_answer(said.text), cut=was_cut(said), tokens=said.tokens)

    def prompt(self, ctx: Context, turn: Turn) -> Prompt:
        """The request: the task's earlier turns, passages and question, and what was wrong with earlier replies."""
        if turn.rounds:
            documents = listed(shown(turn.rounds, self.accumulate, self.order, self.most), self.passage_chars)
            text = fill(self.template, documents=documents, question=turn.question)
        else:
            text = fill(self.closed, question=turn.question)
        return asked(ctx, self.system, text, [(p.said, fill(self.again, problem=p.reason)) for p in turn.problems])


def asked(ctx: Context, system: str, text: str, corrections: Sequence[tuple[str, str]] = ()) -> Prompt:
    """A request: the task's earlier turns, the text in place of its question, replies so far and what was wrong with each."""
    earlier = (ctx.task.chat(system).messages or ())[:-1]
    return Prompt((*earlier, Message("user", text), *corrected(corrections)))


def corrected(corrections: Iterable[tuple[str, str]], most: int = _QUOTED) -> list[Message]:
    """Replies, at most so many characters of each, and what was wrong with them: how a turn is asked for again."""
    shown = ((clipped(said, most) or "(nothing)", wrong) for said, wrong in corrections)
    return [message for said, wrong in shown for message in (Message("assistant", said), Message("user", wrong))]


def answered(said: Completion, answer: str, *, cut: bool, tokens: TokenCounts, calls: int = 1, before: str = "") -> Move:
    """The move that a reply with an answer is: none where the answer was cut at the token limit, or is empty.

    `before` is what was said in this turn ahead of the reply; tokens and calls are the turn's.
    """
    text = f"{before}\n{said.text}" if before else said.text
    if cut or not answer:
        reason = "it was cut before its end" if cut else "it is empty"
        return Problem(reason=reason, said=text, tokens=tokens, calls=calls)
    return Answer(text=answer, completion=said, said=text, tokens=tokens, calls=calls)


def was_cut(said: Completion) -> bool:
    """Whether a reply ended before its model ended it."""
    return said.finish_reason in ("length", "aborted")


def short_answer(reply: str) -> str:
    """The first paragraph of a reply, without a label before it."""
    text = reply.strip()
    if label := _LABEL.match(text):
        text = text[label.end() :].lstrip()
    return first_paragraph(text)


def first_paragraph(text: str) -> str:
    """All that comes before the first blank line."""
    return _BLANK.split(text.strip(), maxsplit=1)[0]
