"""ITER-RETGEN (arXiv 2305.15294): read, then search with the question and all that was generated, and read anew.

Each round shows its own passages only; what was generated before decides on them and is not shown. The generation of the last
round is the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.context import Context
from .reader import Reader
from .rounds import Answer, Move, Query, Turn


@dataclass(frozen=True, kw_only=True)
class IterRetgen:
    """Has a reader generate, and makes a query of it until it must answer."""

    reader: Reader = field(default_factory=lambda: Reader(role="proposer", accumulate="replace"))

    async def step(self, ctx: Context, turn: Turn) -> Move:
        """What the reader says: the next query, or in the last round the answer."""
        move = await self.reader.step(ctx, turn)
        if turn.must or not isinstance(move, Answer):
            return move
        query = f"{turn.question.strip()} {move.said.strip()}"
        return Query(text=query, said=move.said, tokens=move.tokens, calls=move.calls)
