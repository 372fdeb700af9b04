"""The critic: says what is wrong with an answer, for a reviser to read. It does not score."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.candidate import Candidate
from ..core.context import Context
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from .templates import fill, load


@dataclass(frozen=True, kw_only=True)
class Critic:
    """Reads a candidate and gives feedback in words."""

    template: str = field(default_factory=lambda: load("critic"))
    """Fields `question` and `answer`."""
    sampling: Sampling = field(default_factory=lambda: Sampling(max_tokens=128, temperature=0.3))
    role: str = "critic"
    """Role whose engine answers."""

    async def __call__(self, ctx: Context, candidate: Candidate, *, key: str | None = None) -> str:
        """Feedback on a candidate; empty if the model says nothing."""
        prompt = Prompt.of(fill(self.template, question=ctx.task.prompt, answer=candidate.text))
        completion = await ctx.generate(prompt, self.sampling, role=self.role, key=key)
        return completion.text.strip()
