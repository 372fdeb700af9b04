"""The completion check: the model says whether the steps so far are the whole solution (PlanGEN, appendix C).

Only a reply of exactly `1` says yes. A search that never hears it ends at its own limits, so a doubtful reply, a cut one or
a failed call says no: going on costs a step, while a beginning taken for a solution would be returned as one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.context import Context
from ..core.errors import GenerationFailed
from ..core.sampling import Sampling
from .templates import fill, load


@dataclass(frozen=True, kw_only=True)
class CompletionAgent:
    """Whether a text that ends at a step's boundary is a whole solution; serves as `complete` of `run_search`."""

    template: str = field(default_factory=lambda: load("plan_complete"))
    """Fields `question`, `steps`."""
    sampling: Sampling = field(default_factory=lambda: Sampling(max_tokens=8, temperature=0.0))
    role: str = "completion"
    """Role whose engine answers."""

    async def __call__(self, ctx: Context, text: str) -> bool:
        """Ask the model, once for each text and scope."""
        prompt = fill(self.template, question=ctx.task.prompt, steps=text.strip())
        try:
            said = await ctx.generate(prompt, self.sampling, role=self.role, key="complete")
        except GenerationFailed:
            return False
        return said.finish_reason not in ("length", "aborted") and said.text.strip() == "1"
