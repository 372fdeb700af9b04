"""The recaller: the model writes a document for a query out of its own knowledge (Auto-RAG's parametric phase)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.context import Context
from ..core.sampling import Sampling
from .reader import first_paragraph
from .rounds import Recalled
from .templates import fill, load


@dataclass(frozen=True, kw_only=True)
class DocumentWriter:
    """Writes one paragraph, which is shown in place of a passage and marked as recalled in the record."""

    template: str = field(default_factory=lambda: load("recall"))
    """Fields `question`, `query`."""
    sampling: Sampling = field(default_factory=lambda: Sampling(max_tokens=200, temperature=0.0))
    role: str = "recall"
    """Role whose engine writes."""

    async def recall(self, ctx: Context, question: str, query: str) -> Recalled:
        """One document. One that was cut at its limit is used: its beginning says what there is to say."""
        prompt = fill(self.template, question=question, query=query)
        said = await ctx.generate(prompt, self.sampling, role=self.role, key="call")
        return Recalled(text=first_paragraph(said.text), tokens=said.tokens)
