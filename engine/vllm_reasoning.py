"""Telling reasoning from the answer, for models that put it between `<think>` and `</think>`.

Strict: reasoning begins at the very beginning of the turn (or was begun by the prompt), and ends at the first closing
mark. What is not closed is reasoning to its end; an opening mark further on is part of the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

OPEN, CLOSE = "<think>", "</think>"


@dataclass(frozen=True)
class Marks:
    """Token ids of the two marks."""

    open: int
    close: int

    def begun(self, prompt: Sequence[int], prefix: Sequence[int], blank: frozenset[int]) -> bool:
        """Whether a prompt with its prefix ends within reasoning; `blank` are tokens of white space."""
        for ids, whole in ((prefix, True), (prompt, False)):
            for i in reversed(ids):
                if i in (self.open, self.close):
                    return i == self.open
                if not whole and i not in blank:
                    return False
        return False


@dataclass(frozen=True)
class Split:
    """A turn, taken apart."""

    reasoning: str
    answer: str
    tokens: int
    """Tokens of the reasoning, the marks included."""


def split(text: str, ids: Sequence[int], marks: Marks, *, begun: bool) -> Split:
    """Take a generated turn apart; `begun` says that reasoning was open where it starts."""
    if not begun:
        body = text.lstrip()
        if not body.startswith(OPEN):
            return Split("", text, 0)
        text = body[len(OPEN) :]
    reasoning, closed, answer = text.partition(CLOSE)
    if not closed:
        return Split(reasoning.strip(), "", len(ids))
    tokens = list(ids).index(marks.close) + 1 if marks.close in ids else 0
    return Split(reasoning.strip(), answer.lstrip("\n"), tokens)
